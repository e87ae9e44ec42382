/** Percentiles of latencies, in ms; NaN of nothing. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Latencies as they come, eight bytes each; sorted only when somebody asks. */
export class Latencies {
  #values = new Float64Array(4_096);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = ms;
  }

  /** Of what was added from `first` on. Nearest rank: each percentile is a latency that was really measured. */
  summary(first = 0): LatencySummary {
    const sorted = this.#values.slice(first, this.#count).sort();
    const rank = (percent: number) => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
    return { count: sorted.length, p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) };
  }
}
