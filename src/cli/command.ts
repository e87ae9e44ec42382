import { parseArgs } from "node:util";
import { UtError } from "../core/error.ts";

/** What a command may touch of the terminal, handed in so that tests can run commands in-process. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** True where a person looks at stdout: progress may redraw itself. */
  readonly interactive: boolean;
  readonly columns: number;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** One subcommand: `ut NAME …`. `run` resolves to the exit code and throws `UtError` for what `main` should print. */
export interface Command {
  readonly name: string;
  /** One line for `ut --help`. */
  readonly summary: string;
  /** The whole text of `ut NAME --help`. */
  readonly help: string;
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

export interface FlagSpec {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  readonly short?: string;
}

export interface ParsedFlags {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Flags of one command. `-config`, `--config` and `-c` are one flag, as the seed wrote it with one dash; so is every
 * other long name. Unknown flags and missing values throw `usage.bad-flag` with all names that are known.
 */
export function parseFlags(argv: readonly string[], flags: Readonly<Record<string, FlagSpec>>): ParsedFlags {
  const args = argv.map((arg) => {
    const name = /^-([a-z][a-z0-9-]+)(=.*)?$/s.exec(arg)?.[1];
    return name !== undefined && name in flags ? `-${arg}` : arg;
  });
  try {
    const { values, positionals } = parseArgs({ args, options: flags, strict: true, allowPositionals: true });
    return { values, positionals };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.split(". To specify")[0] : String(cause);
    throw new UtError(
      "usage.bad-flag",
      `${message} (known here: ${Object.keys(flags)
        .map((name) => `--${name}`)
        .join(" ")})`,
      {
        cause,
      },
    );
  }
}

/** A string flag's value, or the default. */
export function stringFlag(flags: ParsedFlags, name: string): string | undefined {
  const value = flags.values[name];
  return typeof value === "string" ? value : undefined;
}

/** A whole number within limits, or `usage.bad-value` that names flag, value and range. */
export function integerFlag(flags: ParsedFlags, name: string, range: { min: number; max: number }): number | undefined {
  const text = stringFlag(flags, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < range.min || value > range.max)
    throw new UtError(
      "usage.bad-value",
      `Cannot use --${name} ${text}: expected a whole number from ${range.min} to ${range.max}`,
    );
  return value;
}

/** For commands that are told everything by flags. Throws `usage.bad-value`. */
export function refusePositionals(command: string, flags: ParsedFlags): void {
  if (flags.positionals.length === 0) return;
  const words = flags.positionals.map((word) => `"${word}"`).join(" ");
  throw new UtError("usage.bad-value", `Cannot run ${command}: expected only flags, got ${words}`);
}
