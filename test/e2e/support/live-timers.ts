/** How many timers are set, and have neither fired nor been cleared. */
export interface LiveTimers extends Disposable {
  readonly count: number;
}

/** Watches `setTimeout` and `setInterval` from now until it is disposed of. */
export function liveTimers(): LiveTimers {
  const live = new Set<unknown>();
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const clear = (timer: unknown) => {
    live.delete(timer);
    clearTimeout(timer as Timer);
  };
  const watched = {
    setTimeout(run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) {
      const timer = setTimeout(() => {
        live.delete(timer);
        run(...args);
      }, ms);
      live.add(timer);
      return timer;
    },
    setInterval(run: () => void, ms?: number) {
      const timer = setInterval(run, ms);
      live.add(timer);
      return timer;
    },
    clearTimeout: clear,
    clearInterval: clear,
  };
  Object.assign(globalThis, watched);
  return {
    get count() {
      return live.size;
    },
    [Symbol.dispose]: () => void Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval }),
  };
}
