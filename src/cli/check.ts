import { CHECKS } from "../app/check/checks.ts";
import { runChecks } from "../app/check/run-checks.ts";
import { Scene } from "../app/check/scene.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { UtError } from "../core/error.ts";
import { checkView } from "./check-view.ts";
import { type Command, parseFlags, refusePositionals, stringFlag } from "./command.ts";

const FLAGS = { config: { type: "string", short: "c" }, json: { type: "boolean" } } as const;

const HELP = `ut check -config FILE

Looks at everything that a node with this config needs, and says what is wrong and what to do about it: certificates,
clock, ports, limits, the server's name, the way to it, TLS with it, and what the server can do. It harms nothing: not
a node that runs, not the server. Run it as the user that runs ut; where a tunnel is up already, root sees more of it.

  -config, --config, -c FILE   YAML, as for ut -config FILE
  --json                       one JSON object on stdout and nothing else

Exit code: 0 nothing failed (warnings may stand), 1 something did, 2 FILE is no valid config, 130 interrupted.`;

const EXIT_FAILED = 1;
const EXIT_CONFIG = 2;
const EXIT_INTERRUPTED = 130;

/** `ut check`: everything that is wrong with a set-up, before it runs or while it does. */
export const check: Command = {
  name: "check",
  summary: "find out what is wrong with a set-up, and what to do about it",
  help: HELP,
  async run(argv, terminal) {
    const flags = parseFlags(argv, FLAGS);
    refusePositionals("ut check", flags);
    const path = stringFlag(flags, "config");
    if (path === undefined) throw new UtError("usage.bad-flag", "Missing -config FILE: whose set-up is to be checked");
    using view = checkView(terminal, flags.values.json === true);
    let config: Config;
    try {
      config = loadConfig(path);
    } catch (error) {
      if (!(error instanceof UtError) || !view.unusable(path, error)) throw error;
      return EXIT_CONFIG;
    }
    const scene = new Scene(config, path, terminal.signal);
    const told = await runChecks(CHECKS, scene, view).catch((error) => {
      if (terminal.signal.aborted) return undefined;
      throw error;
    });
    if (told === undefined) return EXIT_INTERRUPTED;
    view.report(config, path, told);
    return told.some(({ verdict }) => verdict === "failed") ? EXIT_FAILED : 0;
  },
};
