import type { Instant } from "../time.ts";
import type { PathChange } from "./path-observer.ts";

export type CongestionControl = "bbr" | "cubic";

/** So few losses without a queue are enough to leave CUBIC, which has paid for each with a third of a window. */
const RANDOM_LOSSES = 2;
/** Loss without a queue, in retransmissions per segment: from here on it is the path and not us. */
const RANDOM_LOSS = 0.001;
/** Enough segments for a loss rate of a tenth of a percent to mean something. */
const WINDOW_SEGMENTS = 2_000;
/** BBR saw no loss to speak of for so many segments: the path has become clean, or never was anything else. */
const CLEAN_SEGMENTS = 20_000;
const CLEAN_LOSS = 0.0001;
/** How long CUBIC is not tried again after the path turned out to lose at random; doubles each time. */
const RETRY_MIN_MS = 10_000;
const RETRY_MAX_MS = 900_000;

/**
 * Which congestion control the lanes of one session should use, for `tcp.congestion: auto`.
 *
 * BBR is what survives random loss: five CUBIC lanes collapse at 0.5 %. CUBIC is better on a clean path: five BBR lanes
 * each pace a burst at the little that one lane was seen to carry, which TCP inside the tunnel reads as a full link.
 * The two cases can be told apart by WHEN segments are lost: with the round trip at its shortest (the path loses at
 * random) or with it grown (a queue overflowed). Measured in docs/performance.md.
 *
 * Starts with CUBIC: two losses tell that it was wrong, while a wrong BBR shows only under load.
 */
export class CongestionChooser {
  choice: CongestionControl = "cubic";
  /** Moves from one to the other. */
  switches = 0;
  #segments = 0;
  #lost = 0;
  #lostUnqueued = 0;
  #cleanSegments = 0;
  #cubicNotBefore: Instant = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MIN_MS;

  /** Take what the path did since the last call. Returns true when `choice` has changed. */
  sample(now: Instant, change: PathChange): boolean {
    this.#segments += change.segments;
    this.#lost += change.lostQueued + change.lostUnqueued;
    this.#lostUnqueued += change.lostUnqueued;
    const switched = this.choice === "cubic" ? this.#leaveCubic(now) : this.#leaveBbr(now);
    if (switched || this.#segments >= WINDOW_SEGMENTS) this.#clear();
    return switched;
  }

  #leaveCubic(now: Instant): boolean {
    if (this.#lostUnqueued < RANDOM_LOSSES || this.#lostUnqueued < RANDOM_LOSS * this.#segments) return false;
    this.#cubicNotBefore = now + this.#retryMs;
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    return this.#switchTo("bbr");
  }

  #leaveBbr(now: Instant): boolean {
    if (this.#segments < WINDOW_SEGMENTS) return false;
    this.#cleanSegments = this.#lost < CLEAN_LOSS * this.#segments ? this.#cleanSegments + this.#segments : 0;
    return this.#cleanSegments >= CLEAN_SEGMENTS && now >= this.#cubicNotBefore && this.#switchTo("cubic");
  }

  #switchTo(choice: CongestionControl): true {
    this.choice = choice;
    this.switches++;
    this.#cleanSegments = 0;
    return true;
  }

  #clear(): void {
    this.#segments = 0;
    this.#lost = 0;
    this.#lostUnqueued = 0;
  }
}
