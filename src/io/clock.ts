import type { Instant } from "../core/time.ts";

/** The monotonic clock that every machine is driven with, in milliseconds. */
export function now(): Instant {
  return performance.now();
}
