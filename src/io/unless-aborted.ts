/** Wait for `happening`, but no longer than until `signal` fires. Leaves no listener behind on a signal that lives on. */
export async function unlessAborted(happening: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  signal.addEventListener("abort", stop, { once: true });
  await Promise.race([happening, promise]);
  signal.removeEventListener("abort", stop);
}
