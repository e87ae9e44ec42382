import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { launchdAgent, launchdPlan } from "../app/service/launchd.ts";
import { installService, uninstallService } from "../app/service/place-service.ts";
import type { Init, ServicePlace, ServicePlan, ServiceSpec } from "../app/service/plan.ts";
import { systemdPlan, systemdUnit } from "../app/service/systemd.ts";
import { nearest } from "../config/nearest.ts";
import { UtError } from "../core/error.ts";
import { runProgram } from "../io/system/run-program.ts";
import { type Command, type ParsedFlags, parseFlags, refusePositionals, stringFlag, type Terminal } from "./command.ts";
import {
  expectRights,
  expectUsable,
  readInit,
  readName,
  readSpec,
  SERVICE_FLAGS,
  type ServiceHost,
} from "./service-flags.ts";

const HELP = `ut service: run a config as a service, from every start of the machine on

  ut service install -config FILE    check FILE, write the service's one file, start it
  ut service uninstall               stop it, and remove that file
  ut service print -config FILE      print the file; nothing is changed

  --init systemd|launchd   what starts programs here (what this machine has)
  --name NAME              of the service, where there are several (ut)
  --user                   systemd: a service of this user instead of the machine
  --binary FILE            the ut that it starts (this one)
  --dry-run                install, uninstall: only tell what would be done

A systemd service runs as a user of its own, with no more rights than it needs; certificates and key are read by root
and handed over. With launchd it is an agent of the user who installs it. What is run is printed. docs/operating.md has
more, also for other init systems.`;

type Subcommand = (call: Call) => Promise<void>;

interface Call {
  readonly flags: ParsedFlags;
  readonly terminal: Terminal;
  readonly host: ServiceHost;
  readonly init: Init;
  readonly name: string;
  readonly place: ServicePlace;
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = { install, uninstall, print };

/** `ut service`: throws `usage.*`, `config.*`, `tls.credentials`, `io.file`, `service.failed`. */
export function serviceCommand(host: ServiceHost): Command {
  return {
    name: "service",
    summary: "run a config as a service of systemd or launchd",
    help: HELP,
    async run(argv, terminal) {
      const [word = "", ...rest] = argv;
      const subcommand = Object.hasOwn(SUBCOMMANDS, word) ? SUBCOMMANDS[word] : undefined;
      if (subcommand === undefined) throw unknownSubcommand(word);
      const flags = parseFlags(rest, SERVICE_FLAGS);
      refusePositionals(`ut service ${word}`, flags);
      await subcommand(callOf(flags, terminal, host));
      return 0;
    },
  };
}

export const service: Command = serviceCommand({
  platform: process.platform,
  uid: process.getuid?.() ?? 0,
  home: homedir(),
  binary: Bun.main.startsWith("/$bunfs/") ? process.execPath : undefined,
  hasSystemd: existsSync("/run/systemd/system"),
  run: runProgram,
});

async function install({ flags, terminal, host, init, place, name }: Call): Promise<void> {
  const spec = await readSpec(flags, host, name, init);
  const plan = planOf(init, name, place);
  const text = textOf(init, spec, place);
  if (flags.values["dry-run"] !== true) expectRights(host, init, place);
  for (const warning of await expectUsable(spec, init, place)) terminal.err(`warning: ${warning}`);
  if (flags.values["dry-run"] === true) {
    terminal.out(`would write ${plan.path}:\n\n${text}`);
    for (const command of plan.start) terminal.out(`would run ${command.join(" ")}`);
    return;
  }
  await installService(plan, text, { run: host.run, say: (step) => terminal.out(step) });
  for (const hint of plan.hints) terminal.out(hint);
}

async function uninstall({ flags, terminal, host, init, place, name }: Call): Promise<void> {
  const plan = planOf(init, name, place);
  if (flags.values["dry-run"] === true) {
    for (const command of plan.stop) terminal.out(`would run ${command.join(" ")}`);
    terminal.out(`would remove ${plan.path}`);
    for (const command of plan.forget) terminal.out(`would run ${command.join(" ")}`);
    return;
  }
  expectRights(host, init, place);
  await uninstallService(plan, { run: host.run, say: (step) => terminal.out(step) });
}

async function print({ flags, terminal, host, init, place, name }: Call): Promise<void> {
  terminal.out(textOf(init, await readSpec(flags, host, name, init), place).trimEnd());
}

function callOf(flags: ParsedFlags, terminal: Terminal, host: ServiceHost): Call {
  const init = readInit(stringFlag(flags, "init"), host);
  const scope = init === "launchd" || flags.values.user === true ? "user" : "system";
  const place: ServicePlace = { scope, uid: host.uid, home: host.home };
  return { flags, terminal, host, init, name: readName(stringFlag(flags, "name")), place };
}

function planOf(init: Init, name: string, place: ServicePlace): ServicePlan {
  return init === "systemd" ? systemdPlan(name, place) : launchdPlan(name, place);
}

function textOf(init: Init, spec: ServiceSpec, { scope, home }: ServicePlace): string {
  return init === "systemd" ? systemdUnit(spec, scope) : launchdAgent(spec, home);
}

function unknownSubcommand(word: string): UtError {
  const known = Object.keys(SUBCOMMANDS);
  const near = nearest(word, known);
  const got = word === "" ? "nothing" : `"${word}"`;
  const hint = near === undefined ? "" : `; did you mean "${near}"`;
  return new UtError("usage.unknown-command", `Cannot run ut service: expected ${known.join(", ")}, got ${got}${hint}`);
}
