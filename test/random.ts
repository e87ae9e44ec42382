/**
 * Seeded randomness for tests: the same seed gives the same run on every machine. `UT_FUZZ_SEED` repeats one.
 * The generator is mulberry32 (public domain): 32 bits of state, good enough to shuffle test inputs.
 */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** [0, 1) */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** A whole number, `from` to `to` inclusive. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    // Invariant: the caller hands in something to pick from.
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }
}

/** Time limit of a fuzzer. Its work is bounded by its count of runs, about a second; this is for crowded machines. */
export const SLOW_MACHINE_MS = 60_000;

/**
 * The seeds of one fuzzer: `UT_FUZZ_SEED` alone if it is set, otherwise `count` fresh ones, printed so that a failure can be
 * repeated.
 */
export function fuzzSeeds(fuzzer: string, count: number): number[] {
  const given = process.env.UT_FUZZ_SEED;
  if (given !== undefined) return [Number(given) >>> 0];
  const first = Math.floor(Math.random() * 2 ** 32);
  console.log(`${fuzzer}: seeds ${first}..${first + count - 1} (UT_FUZZ_SEED=n repeats one)`);
  return Array.from({ length: count }, (_, i) => (first + i) >>> 0);
}
