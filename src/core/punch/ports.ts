import type { RandomBytes } from "../machine.ts";

/** Where NATs put mappings: everything above the well-known ports. */
export const FIRST_PORT = 1_024;
export const LAST_PORT = 65_535;
export const PORT_COUNT = LAST_PORT - FIRST_PORT + 1;

/** `permuted`: each port once, then none. `random`: independent draws, for ever. */
export type PortOrder = "permuted" | "random";

export interface PortSource {
  /** The next port to try; undefined when all have been given out. */
  next(): number | undefined;
}

/** Ports of 1024 to 65535 in an order that nobody can foresee, without those of `skip`. */
export function portSource(order: PortOrder, random: RandomBytes, skip: ReadonlySet<number> = new Set()): PortSource {
  const source = order === "permuted" ? permuted(random) : draws(random);
  return {
    next() {
      let port = source.next();
      while (port !== undefined && skip.has(port)) port = source.next();
      return port;
    },
  };
}

/**
 * Fisher–Yates, done as far as it is asked for: only cells that were swapped are kept, so that a scan of two thousand
 * ports does not hold sixty-four thousand.
 */
function permuted(random: RandomBytes): PortSource {
  const moved = new Map<number, number>();
  let given = 0;
  return {
    next() {
      if (given === PORT_COUNT) return undefined;
      const at = given + below(PORT_COUNT - given, random);
      const drawn = moved.get(at) ?? at;
      moved.set(at, moved.get(given) ?? given);
      moved.delete(given);
      given += 1;
      return FIRST_PORT + drawn;
    },
  };
}

function draws(random: RandomBytes): PortSource {
  return { next: () => FIRST_PORT + below(PORT_COUNT, random) };
}

/** 0 to `limit - 1`, each as likely as the other: what lies above the last whole multiple of `limit` is drawn again. */
function below(limit: number, random: RandomBytes): number {
  const fair = 2 ** 32 - (2 ** 32 % limit);
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0] = random(4);
    const drawn = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (drawn < fair) return drawn % limit;
  }
}
