import { UtError } from "../core/error.ts";
import { type ParsedFlags, stringFlag } from "./command.ts";

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** What a flag may say, and what it is without it, all written as the user writes them. */
export interface DurationRange {
  readonly min: string;
  readonly max: string;
  readonly default: string;
}

/** Milliseconds of `250ms`, `1s`, `1.5m`, `2h`; or `usage.bad-value` that names flag, value and range. */
export function durationFlag(flags: ParsedFlags, name: string, range: DurationRange): number {
  const text = stringFlag(flags, name) ?? range.default;
  const ms = milliseconds(text);
  if (ms >= milliseconds(range.min) && ms <= milliseconds(range.max)) return ms;
  throw new UtError(
    "usage.bad-value",
    `Cannot use --${name} ${text}: expected a duration from ${range.min} to ${range.max}, such as 250ms, 1s or 2m`,
  );
}

/** NaN for what is no duration. */
function milliseconds(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  return Number(number) * (UNITS_MS[unit] ?? Number.NaN);
}
