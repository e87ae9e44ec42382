import { type Instant, NEVER } from "../time.ts";

/** What punching may cost, whatever anybody asks for. */
export interface BudgetLimits {
  /** In all. */
  readonly packets: number;
  readonly packetsPerSecond: number;
  /**
   * Entries that our own NAT has to hold at a time: each port that the nat3 side tries is one, each socket of the nat4
   * side is one. Home routers hold 1,024 to 4,096 in all, and a full table takes the whole house offline (FINDINGS).
   */
  readonly mappings: number;
}

/** Towards one target: two thousand ports against 256 sockets miss once in 3,000 runs. */
export const TARGET_LIMITS: BudgetLimits = { packets: 50_000, packetsPerSecond: 2_500, mappings: 2_048 };
/** Of a process: two targets at a time. */
export const OVERALL_LIMITS: BudgetLimits = {
  packets: Number.POSITIVE_INFINITY,
  packetsPerSecond: 5_000,
  mappings: 4_096,
};

/** What a timer of 1 ms may be late by without packets being lost to the pace. */
const BURST_MS = 10;
/** How long a router remembers a mapping that nobody answers, if it runs Linux: the usual one does. */
const MEMORY_MS = 30_000;

/** What is left for one target; everything that it grants is also taken from `overall`, which several share. */
export class PunchBudget {
  readonly #limits: BudgetLimits;
  readonly #overall: PunchBudget | undefined;
  #packets = 0;
  #tokens: number;
  #at: Instant = Number.NEGATIVE_INFINITY;
  #live = 0;
  #fading: { readonly until: Instant; readonly count: number }[] = [];

  constructor(limits: BudgetLimits, overall?: PunchBudget) {
    this.#limits = limits;
    this.#overall = overall;
    this.#tokens = this.#burst;
  }

  /** Packets that were granted so far. */
  get packets(): number {
    return this.#packets;
  }

  /** May one packet leave now? If so it counts as sent. */
  take(now: Instant): boolean {
    if (this.nextAt(now) > now) return false;
    this.#spend();
    return true;
  }

  /** When `take` will grant one, if nobody else takes it first: `now`, later, or never again. */
  nextAt(now: Instant): Instant {
    this.#refill(now);
    if (this.#packets >= this.#limits.packets) return NEVER;
    const own = this.#tokens >= 1 ? now : now + ((1 - this.#tokens) * 1_000) / this.#limits.packetsPerSecond;
    return Math.max(own, this.#overall?.nextAt(now) ?? now);
  }

  /** May our NAT be given one more mapping? If so it counts as open until `release`, and for a while after. */
  takeMapping(now: Instant): boolean {
    if (!this.hasMapping(now)) return false;
    for (const budget of this.#chain()) budget.#live += 1;
    return true;
  }

  /** Whether `takeMapping` would grant one. */
  hasMapping(now: Instant): boolean {
    this.#fading = this.#fading.filter(({ until }) => until > now);
    const fading = this.#fading.reduce((sum, { count }) => sum + count, 0);
    return (
      this.#live + fading < this.#limits.mappings && (this.#overall === undefined || this.#overall.hasMapping(now))
    );
  }

  /** Of `count` mappings that were taken nothing is sent through any more: the NAT will forget them. */
  release(now: Instant, count: number): void {
    for (const budget of this.#chain()) {
      budget.#live -= count;
      if (count > 0) budget.#fading.push({ until: now + MEMORY_MS, count });
    }
  }

  #spend(): void {
    for (const budget of this.#chain()) {
      budget.#packets += 1;
      budget.#tokens -= 1;
    }
  }

  #chain(): PunchBudget[] {
    return this.#overall === undefined ? [this] : [this, this.#overall];
  }

  get #burst(): number {
    return Math.max(1, (this.#limits.packetsPerSecond * BURST_MS) / 1_000);
  }

  #refill(now: Instant): void {
    const elapsed = now - this.#at;
    if (elapsed <= 0) return;
    this.#at = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed * this.#limits.packetsPerSecond) / 1_000);
  }
}
