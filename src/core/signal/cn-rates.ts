import type { Instant } from "../time.ts";
import { OPENS_PER_WINDOW, PUNCHES_PER_WINDOW, WINDOW_MS } from "./limits.ts";
import { RateWindow } from "./rate.ts";

export interface Rates {
  readonly opens: RateWindow;
  /** Requests to punch. */
  readonly punches: RateWindow;
  /** Starts that it was told: nobody can make a peer send more than so many trains of packets. */
  readonly starts: RateWindow;
  readonly results: RateWindow;
}

/** Beyond so many, those whose windows are empty are forgotten: they would start as they are. */
const SWEEP_FROM = 1_024;

/** What each CN has done in the last 10 s; a new connection, or a second process, does not start afresh. */
export class CnRates {
  readonly #rates = new Map<string, Rates>();
  #sweepFrom = SWEEP_FROM;

  get size(): number {
    return this.#rates.size;
  }

  of(now: Instant, cn: string): Rates {
    const known = this.#rates.get(cn);
    if (known !== undefined) return known;
    if (this.#rates.size >= this.#sweepFrom) this.#sweep(now);
    const rates = {
      opens: new RateWindow(OPENS_PER_WINDOW, WINDOW_MS),
      punches: new RateWindow(PUNCHES_PER_WINDOW, WINDOW_MS),
      starts: new RateWindow(PUNCHES_PER_WINDOW, WINDOW_MS),
      results: new RateWindow(PUNCHES_PER_WINDOW, WINDOW_MS),
    };
    this.#rates.set(cn, rates);
    return rates;
  }

  #sweep(now: Instant): void {
    for (const [cn, { opens, punches, starts, results }] of this.#rates)
      if ([opens, punches, starts, results].every(({ emptyAt }) => emptyAt <= now)) this.#rates.delete(cn);
    // Doubling keeps the cost of sweeping within that of adding.
    this.#sweepFrom = Math.max(SWEEP_FROM, this.#rates.size * 2);
  }
}
