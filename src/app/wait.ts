import { now } from "../io/clock.ts";

/** One turn of the event loop, and a millisecond: the finest that a timer promises. */
export function tick(ms = 1): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Look again and again until `condition` holds. False: `timeoutMs` passed or `signal` fired first. */
export async function until(condition: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = now() + timeoutMs;
  while (!condition()) {
    if (signal.aborted || now() > deadline) return false;
    await tick();
  }
  return true;
}
