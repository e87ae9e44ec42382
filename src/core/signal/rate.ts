import type { Instant } from "../time.ts";

/** Exactly never more than `count` in any `windowMs`, whatever the spacing. */
export class RateWindow {
  readonly #windowMs: number;
  /** When the last `count` were taken, as a ring: `#next` is the oldest. */
  readonly #times: Float64Array;
  #next = 0;

  constructor(count: number, windowMs: number) {
    this.#windowMs = windowMs;
    this.#times = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  }

  /** From when on one may be taken. */
  get freeAt(): Instant {
    return this.#oldest + this.#windowMs;
  }

  /** When the last one that was taken counts no more. */
  get emptyAt(): Instant {
    const newest = this.#times[(this.#next + this.#times.length - 1) % this.#times.length];
    return (newest ?? Number.NEGATIVE_INFINITY) + this.#windowMs;
  }

  take(now: Instant): boolean {
    if (now < this.freeAt) return false;
    this.#times[this.#next] = now;
    this.#next = (this.#next + 1) % this.#times.length;
    return true;
  }

  get #oldest(): Instant {
    // Invariant: `#next` stays within the ring.
    return this.#times[this.#next] as Instant;
  }
}

/** So many a second, and `burst` of them at once. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: Instant;

  constructor(now: Instant, perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: Instant): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + (Math.max(0, now - this.#at) * this.#perSecond) / 1_000);
    this.#at = Math.max(this.#at, now);
    // Times are fractions: what is due at this instant may lack the last bit.
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens -= 1;
    return true;
  }

  /** When the next one may be taken. */
  get freeAt(): Instant {
    return this.#at + (Math.max(0, 1 - this.#tokens) * 1_000) / this.#perSecond;
  }
}
