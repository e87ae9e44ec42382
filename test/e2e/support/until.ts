/**
 * Wait until `condition` holds, looking once in every turn of the event loop: tests wait for what happens, never for
 * time to pass. Rejects with `what` after `timeoutMs` of real time, also where timers are faked.
 */
export async function until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = Bun.nanoseconds() + timeoutMs * 1e6;
  while (!condition()) {
    if (Bun.nanoseconds() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await turn();
  }
}

/** One turn of the event loop: sockets are looked at, what is due runs. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
