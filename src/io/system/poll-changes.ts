/** Looks every `intervalMs` and tells when it finds something else than before, until disposed of. */
export function pollChanges<T>(
  look: () => Promise<T>,
  known: T,
  onChange: (found: T) => void,
  intervalMs: number,
): Disposable {
  let last = known;
  let stopped = false;
  let timer = setTimeout(poll, intervalMs);
  async function poll(): Promise<void> {
    const found = await look();
    if (stopped) return;
    timer = setTimeout(poll, intervalMs);
    if (Bun.deepEquals(found, last)) return;
    last = found;
    onChange(found);
  }
  return {
    [Symbol.dispose]() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
