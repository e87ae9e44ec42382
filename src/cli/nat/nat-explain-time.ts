import type { Instant } from "../../core/time.ts";
import type { ExplainedNode } from "./nat-explain-node.ts";

/** `2026-01-31 12:00:03 UTC, 4 min ago` */
export function formatMoment(at: Instant, { startedAt, now }: ExplainedNode): string {
  const text = new Date(startedAt + at).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC, ${formatSpan(now - at)} ago`;
}

/** In the largest unit that leaves a number above 1: `7 s`, `90 s`, `4 min`, `3 h`, `12 days`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** `0.42 s` */
export function formatSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
