/** A number for a person, its unit with it. Every figure of the page goes through here. */

const DASH = "–";
const SPACE = "\u00a0";

export function formatCount(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** `1 lane`, `5 lanes` */
export function formatThings(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Three digits that mean something: `0`, `7.25`, `94.1`, `941`. */
export function formatDigits(value: number): string {
  if (value === 0) return "0";
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** What a quantity is counted in so that its number is short. */
export interface Scale {
  readonly unit: string;
  readonly factor: number;
}

export function rateScale(bitsPerSecond: number): Scale {
  return scaleOf(bitsPerSecond, "bit/s");
}

export function formatRate(bitsPerSecond: number): string {
  return scaled(bitsPerSecond, rateScale(bitsPerSecond));
}

export function formatBytes(bytes: number): string {
  return scaled(bytes, scaleOf(bytes, "B"));
}

function scaled(value: number, { unit, factor }: Scale): string {
  return `${factor === 1 ? formatCount(value) : formatDigits(value / factor)}${SPACE}${unit}`;
}

function scaleOf(value: number, unit: string): Scale {
  const power = value < 1_000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return { unit: `${["", "k", "M", "G", "T"][power]}${unit}`, factor: 1_000 ** power };
}

export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return DASH;
  if (ms > 0 && ms < 0.01) return `<${SPACE}0.01${SPACE}ms`;
  return ms < 1_000 ? `${formatDigits(ms)}${SPACE}ms` : `${formatDigits(ms / 1_000)}${SPACE}s`;
}

/** In the largest unit that leaves a number above 1: `7 s`, `90 s`, `4 min`, `3 h`, `12 days`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds}${SPACE}s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}${SPACE}min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}${SPACE}h`;
  return `${formatCount(Math.round(seconds / 86_400))}${SPACE}days`;
}

/** `2030-01-31` of an ISO time. */
export function formatDay(iso: string): string {
  return iso.slice(0, 10);
}

/** `in 23 days`, or `3 days ago`. */
export function formatDistance(iso: string, nowMs: number): string {
  const ms = Date.parse(iso) - nowMs;
  return ms >= 0 ? `in ${formatSpan(ms)}` : `${formatSpan(-ms)} ago`;
}

/** `12:03:04` on the reader's clock. */
export function formatClock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}
