import { EXAMPLES } from "../config/examples.ts";
import { formatConfig, plainConfig } from "../config/format.ts";
import { configJsonSchema } from "../config/json-schema.ts";
import { loadConfig } from "../config/load.ts";
import { nearest } from "../config/nearest.ts";
import { ROLES, type Role } from "../config/roles.ts";
import { UtError } from "../core/error.ts";
import { type Command, parseFlags, stringFlag, type Terminal } from "./command.ts";

const HELP = `ut config: write, describe and check config files

  ut config example [${ROLES.join("|")}]        print a commented example (${ROLES[0]} without a role)
  ut config show -config FILE [--json]   print the config in effect: the file with every default filled in
  ut config schema                       print the JSON Schema of config files, for editors

Examples:
  ut config example client > ut.yaml
  ut config show -config ut.yaml
  ut config schema > ut.schema.json      then, as first line of ut.yaml:
                                         # yaml-language-server: $schema=ut.schema.json

"show" checks the whole file and lists every mistake as file:line:column, exit code 2.
It prints where certificates and keys are, never what is in them.`;

const SUBCOMMANDS: Record<string, (argv: readonly string[], terminal: Terminal) => void> = { example, show, schema };

/** `ut config example|show|schema`. Throws `config.*` for a file that is no valid config. */
export const config: Command = {
  name: "config",
  summary: "print a commented example, the JSON Schema, or the config in effect",
  help: HELP,
  async run(argv, terminal) {
    const [name, ...rest] = argv;
    const subcommand = name === undefined ? undefined : Object.hasOwn(SUBCOMMANDS, name) && SUBCOMMANDS[name];
    if (!subcommand) throw unknownWord("usage.unknown-command", "ut config", name, Object.keys(SUBCOMMANDS));
    subcommand(rest, terminal);
    return 0;
  },
};

function example(argv: readonly string[], terminal: Terminal): void {
  const { positionals } = parseFlags(argv, {});
  const [role = ROLES[0]] = positionals;
  refuseRest("ut config example", positionals.slice(1));
  if (!isRole(role)) throw unknownWord("usage.bad-value", "ut config example", role, ROLES);
  terminal.out(EXAMPLES[role].trimEnd());
}

function show(argv: readonly string[], terminal: Terminal): void {
  const flags = parseFlags(argv, { config: { type: "string", short: "c" }, json: { type: "boolean" } });
  refuseRest("ut config show", flags.positionals);
  const path = stringFlag(flags, "config");
  if (path === undefined)
    throw new UtError("usage.bad-flag", "Cannot run ut config show: expected -config FILE, got no file");
  const loaded = loadConfig(path);
  terminal.out(flags.values.json === true ? json(plainConfig(loaded)) : formatConfig(loaded).trimEnd());
}

function schema(argv: readonly string[], terminal: Terminal): void {
  refuseRest("ut config schema", parseFlags(argv, {}).positionals);
  terminal.out(json(configJsonSchema()));
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

function isRole(word: string): word is Role {
  return (ROLES as readonly string[]).includes(word);
}

function refuseRest(command: string, rest: readonly string[]): void {
  if (rest.length === 0) return;
  const words = rest.map((word) => `"${word}"`).join(" ");
  throw new UtError("usage.bad-value", `Cannot run ${command}: expected nothing more, got ${words}`);
}

function unknownWord(
  kind: "usage.unknown-command" | "usage.bad-value",
  command: string,
  word: string | undefined,
  known: readonly string[],
): UtError {
  const near = word === undefined ? undefined : nearest(word, known);
  const got = word === undefined ? "nothing" : `"${word}"`;
  const hint = near === undefined ? "" : `; did you mean "${near}"`;
  return new UtError(kind, `Cannot run ${command}: expected ${known.join(", ")}, got ${got}${hint}`);
}
