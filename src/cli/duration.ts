import { UtError } from "../core/error.ts";

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `250ms`, `1s`, `1.5m`, `2h`; or `usage.bad-value` that names flag, value and range. */
export function parseDuration(
  flag: string,
  text: string,
  range: { readonly min: string; readonly max: string },
): number {
  const ms = milliseconds(text);
  if (ms !== undefined && ms >= (milliseconds(range.min) ?? 0) && ms <= (milliseconds(range.max) ?? 0)) return ms;
  throw new UtError(
    "usage.bad-value",
    `Cannot use --${flag} ${text}: expected a duration from ${range.min} to ${range.max}, such as 250ms, 1s or 2m`,
  );
}

function milliseconds(text: string): number | undefined {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * (UNITS_MS[unit] ?? 0);
}
