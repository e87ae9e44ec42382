import { type Instant, NEVER } from "../time.ts";
import type { PunchBudget } from "./budget.ts";
import type { PortSource } from "./ports.ts";
import type { PunchSettings } from "./settings.ts";

/**
 * Which port is tried when: batches of `scanCount` ports, each one sent evenly over its interval, again and again, until
 * new ports are due. When our own NAT can hold no more (`PunchBudget`), or no port is left, the ports come round again
 * from the first: they cost it nothing, and the other side may have come up, or raised its TTL, since they were tried.
 */
export class Scan {
  readonly #settings: PunchSettings;
  readonly #source: PortSource;
  readonly #budget: PunchBudget;
  readonly #spacingMs: number;
  /** All ports that were ever tried, in order; bounded by the budget. */
  readonly #tried: number[] = [];
  /** The batch: where it begins in `#tried`, which of its ports is next, and since when it is sent. */
  #first = 0;
  #next = 0;
  #batchAt: Instant;
  #nextAt: Instant;

  constructor(settings: PunchSettings, source: PortSource, budget: PunchBudget, now: Instant) {
    this.#settings = settings;
    this.#source = source;
    this.#budget = budget;
    this.#spacingMs = Math.min(settings.intervalMs, settings.batchIntervalMs) / settings.scanCount;
    this.#batchAt = now;
    this.#nextAt = now;
  }

  /** Different ports tried so far, which is what our NAT has to hold. */
  get ports(): number {
    return this.#tried.length;
  }

  /** When the next port is due. */
  get nextAt(): Instant {
    return this.#nextAt;
  }

  /** The port to try now; undefined when none is due. What it gives counts as sent. */
  poll(now: Instant): number | undefined {
    if (this.#nextAt > now) return undefined;
    const grantedAt = this.#budget.nextAt(now);
    if (grantedAt > now) {
      this.#nextAt = grantedAt;
      return undefined;
    }
    const port = this.#port(now);
    if (port === undefined) {
      // Not one mapping was granted: somebody else may give some back.
      this.#nextAt = now + this.#settings.batchIntervalMs;
      return undefined;
    }
    this.#budget.take(now);
    // A machine that slept does not make up for it.
    this.#nextAt = Math.max(this.#nextAt, now - this.#settings.intervalMs) + this.#spacingMs;
    return port;
  }

  /** Which of the ports tried `port` was, from 1; the last one if it never was. */
  placeOf(port: number): number {
    const index = this.#tried.indexOf(port);
    return index < 0 ? this.#tried.length : index + 1;
  }

  /** A port that the other side has named by sending from it: true when a probe may go there now, which then counts. */
  also(now: Instant, port: number): boolean {
    if (this.#budget.nextAt(now) > now) return false;
    if (!this.#tried.includes(port)) {
      if (!this.#budget.takeMapping(now)) return false;
      this.#tried.push(port);
    }
    return this.#budget.take(now);
  }

  /** After a pause: what was due meanwhile is not made up for. */
  resume(now: Instant): void {
    this.#nextAt = Math.max(this.#nextAt, now);
  }

  /** For good: our NAT may forget all of it. */
  release(now: Instant): void {
    this.#budget.release(now, this.#tried.length);
    this.#nextAt = NEVER;
  }

  #port(now: Instant): number | undefined {
    if (this.#next - this.#first === this.#settings.scanCount) this.#endPass(now);
    let port = this.#tried[this.#next] ?? this.#freshPort(now);
    if (port === undefined) {
      // No new one to be had: the pass ends early, and a batch that would hold none begins with the first port of all.
      if (this.#next > this.#first) this.#endPass(now);
      if (this.#next === this.#tried.length) this.#first = this.#next = 0;
      port = this.#tried[this.#next];
    }
    if (port !== undefined) this.#next += 1;
    return port;
  }

  #endPass(now: Instant): void {
    // Half a spacing of tolerance: the passes of one batch fill its interval to the millisecond.
    if (now + this.#spacingMs / 2 >= this.#batchAt + this.#settings.batchIntervalMs) {
      this.#first = this.#next;
      this.#batchAt = now;
    }
    this.#next = this.#first;
  }

  #freshPort(now: Instant): number | undefined {
    if (!this.#budget.hasMapping(now)) return undefined;
    const port = this.#source.next();
    if (port === undefined) return undefined;
    this.#budget.takeMapping(now);
    this.#tried.push(port);
    return port;
  }
}
