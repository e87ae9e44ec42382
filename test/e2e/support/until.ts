import { jest } from "bun:test";

let driven = false;

/**
 * From here to the end of the scope, timers and the nodes' clock move only as the test says: a millisecond with each
 * turn of the event loop, so that what is short still happens, and by `advance` for what is long. Sockets are real.
 * Nodes must be started under it, because the clock begins anew.
 */
export function drivenTime(): { advance(ms: number): void } & Disposable {
  jest.useFakeTimers();
  driven = true;
  return {
    advance: (ms) => void jest.advanceTimersByTime(ms),
    [Symbol.dispose]() {
      driven = false;
      jest.useRealTimers();
    },
  };
}

/**
 * Wait until `condition` holds, looking once in every turn of the event loop: tests wait for what happens, never for
 * time to pass. Rejects with `what` after `timeoutMs`, or after so many turns where time is driven.
 */
export async function until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await turn();
  }
}

/** One turn of the event loop: sockets are looked at, what is due runs. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (driven) jest.advanceTimersByTime(1);
}
