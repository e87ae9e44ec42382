/** The finest that is told apart, in milliseconds; what is quicker counts as this. */
const MIN_MS = 0.001;
const MAX_MS = 100_000;
/** Each bucket is 2 % wider than the one before: a percentile is right to 1 %. */
const GROWTH = Math.log(1.02);
const BUCKETS = Math.ceil(Math.log(MAX_MS / MIN_MS) / GROWTH) + 1;

/** Round trips, in milliseconds, by size: as much memory for a year as for a minute. */
export class RttHistogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  count = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;
  #sum = 0;

  add(ms: number): void {
    this.count += 1;
    this.#sum += ms;
    this.min = Math.min(this.min, ms);
    this.max = Math.max(this.max, ms);
    // Invariant: it is within the array.
    this.#buckets[bucketOf(ms)]! += 1;
  }

  /** NaN of nothing. */
  get mean(): number {
    return this.#sum / this.count;
  }

  /** Nearest rank, to 1 %; NaN of nothing. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent / 100) * this.count));
    let seen = 0;
    for (const [index, count] of this.#buckets.entries()) {
      seen += count;
      if (seen < rank) continue;
      const middle = MIN_MS * Math.exp((index + 0.5) * GROWTH);
      return Math.min(this.max, Math.max(this.min, middle));
    }
    return Number.NaN;
  }

  /** How many there were in each of `cells` spans between the smallest and the largest, each as many times as wide. */
  spread(cells: number): number[] {
    const counts = Array<number>(cells).fill(0);
    const [first, last] = [bucketOf(this.min), bucketOf(this.max)];
    for (const [index, count] of this.#buckets.entries()) {
      if (count === 0) continue;
      const cell = Math.floor(((index - first) / (last - first + 1)) * cells);
      // Invariant: `first <= index <= last`.
      counts[cell]! += count;
    }
    return counts;
  }
}

function bucketOf(ms: number): number {
  const index = Math.floor(Math.log(Math.max(MIN_MS, ms) / MIN_MS) / GROWTH);
  return Math.min(index, BUCKETS - 1);
}
