import type { Instant } from "../time.ts";

/** What may leave at once: less than the 92 datagrams of 1,452 bytes that a default Linux receive buffer holds. */
export const BURST_PACKETS = 48;
/** What may leave each millisecond behind it, at least. A userspace WireGuard takes about 40 packets in that time. */
export const MIN_PACKETS_PER_MS = 32;
/** A busy tunnel leaves at this multiple of the rate at which datagrams have been coming. */
const HEADROOM = 2;
/** Time constant of that rate. */
const RATE_WINDOW_MS = 100;

/**
 * Smooths what leaves towards the local UDP side. A lane that stalled for a round trip hands over hundreds of
 * datagrams at once, and the receive buffer of a userspace WireGuard (212,992 bytes by default) holds 92: the rest was
 * lost, TCP inside saw it as congestion, and a repaired loss cost more than the loss (docs/performance.md "Bursts").
 *
 * A token bucket whose rate follows the traffic, so that it never limits a steady flow.
 */
export class Pacer {
  #tokens = BURST_PACKETS;
  #at: Instant;
  /** Smoothed arrivals, packets per millisecond. */
  #rate = 0;

  constructor(now: Instant) {
    this.#at = now;
  }

  /** `arrived` new datagrams want to leave, together with what waits: how many of `wanted` may go now? */
  take(now: Instant, arrived: number, wanted: number): number {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#rate = this.#rate * Math.exp(-elapsed / RATE_WINDOW_MS) + arrived / RATE_WINDOW_MS;
    const perMs = Math.max(MIN_PACKETS_PER_MS, HEADROOM * this.#rate);
    this.#tokens = Math.min(Math.max(BURST_PACKETS, perMs), this.#tokens + elapsed * perMs);
    const granted = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= granted;
    return granted;
  }
}
