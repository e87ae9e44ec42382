import type { Instant } from "../time.ts";

/** Round trips without any progress after which a lane counts as stalled, and the least time for it. */
const STALLED_ROUND_TRIPS = 3;
const STALLED_MIN_MS = 100;

/**
 * Whether one lane has data in flight that nobody acknowledges: a lost tail that waits for a retransmission timeout,
 * or a path that swallows everything. Such a lane still accepts datagrams until its window is full, so the scheduler
 * must be told to leave it alone. TCP_USER_TIMEOUT ends it for good, seconds later.
 */
export class StallDetector {
  #acked = -1;
  #since: Instant = Number.NEGATIVE_INFINITY;

  /** `bytesAcked` and `unackedSegments` as TCP_INFO has them. */
  stalled(now: Instant, bytesAcked: number, unackedSegments: number, rttMs: number): boolean {
    if (unackedSegments === 0 || bytesAcked !== this.#acked) {
      this.#acked = unackedSegments === 0 ? -1 : bytesAcked;
      this.#since = now;
      return false;
    }
    return now - this.#since > Math.max(STALLED_MIN_MS, STALLED_ROUND_TRIPS * rttMs);
  }
}
