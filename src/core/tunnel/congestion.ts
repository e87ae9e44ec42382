import type { Instant } from "../time.ts";

export type CongestionControl = "bbr" | "cubic";

/** What TCP_INFO says of one lane. Counters are totals since the connection began. */
export interface LaneSample {
  readonly segmentsOut: number;
  readonly retransmits: number;
  readonly rttMs: number;
  readonly minRttMs: number;
}

/** A round trip this much above the shortest one seen means that a queue stands in front of the bottleneck. */
const QUEUED_FACTOR = 1.25;
const QUEUED_MARGIN_MS = 4;
/** So few losses without a queue are enough to leave CUBIC, which has paid for each with a third of a window. */
const RANDOM_LOSSES = 2;
/** Enough segments for a loss rate of a tenth of a percent to mean something. */
const WINDOW_SEGMENTS = 2_000;
/** Loss without a queue, in retransmissions per segment: from here on it is the path and not us. */
const RANDOM_LOSS = 0.001;
/** Loss with a queue: from here on BBR is pushing other traffic, and its own other lanes, out of the buffer. */
const SELF_INFLICTED_LOSS = 0.01;
/** BBR saw no loss to speak of for so many segments: the path has become clean, or never was anything else. */
const CLEAN_SEGMENTS = 20_000;
const CLEAN_LOSS = 0.0001;
/** A queue that overflowed has often drained by the time its losses are repaired, so it is remembered for so long. */
const QUEUE_MEMORY_MS = 250;
/** How long CUBIC is not tried again after the path turned out to lose at random; doubles each time. */
const RETRY_MIN_MS = 10_000;
const RETRY_MAX_MS = 900_000;

/**
 * Which congestion control the lanes of one session should use, for `tcp.congestion: auto`.
 *
 * BBR is what survives random loss: five CUBIC lanes collapse at 0.5 %. CUBIC is better on a clean path: five BBR lanes
 * each pace a burst at the little that one lane was seen to carry, which TCP inside the tunnel reads as a full link,
 * and under load each overestimates its part and fills the bottleneck's buffer until it drops. The two cases can be
 * told apart by WHEN segments are lost: with the round trip at its shortest (the path loses at random) or with it
 * grown (a queue overflowed). Measured in docs/performance.md.
 *
 * Starts with CUBIC: two losses tell that it was wrong, while a wrong BBR shows only under load.
 */
export class CongestionChooser {
  choice: CongestionControl = "cubic";
  /** Moves from one to the other. */
  switches = 0;
  readonly #last = new Map<number, LaneSample>();
  #segments = 0;
  #lostQueued = 0;
  #lostUnqueued = 0;
  #cleanSegments = 0;
  #queuedAt: Instant = Number.NEGATIVE_INFINITY;
  #cubicNotBefore: Instant = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MIN_MS;

  /** Take the samples of all live lanes, by lane id. Returns true when `choice` has changed. */
  sample(now: Instant, lanes: ReadonlyMap<number, LaneSample>): boolean {
    if (isQueued(lanes)) this.#queuedAt = now;
    const queued = now - this.#queuedAt <= QUEUE_MEMORY_MS;
    for (const [id, lane] of lanes) this.#count(id, lane, queued);
    for (const id of this.#last.keys()) if (!lanes.has(id)) this.#last.delete(id);
    return this.choice === "cubic" ? this.#judgeCubic(now) : this.#judgeBbr(now);
  }

  #count(id: number, lane: LaneSample, queued: boolean): void {
    const before = this.#last.get(id);
    this.#last.set(id, lane);
    // A lane with this id but fewer segments is a new connection.
    if (before === undefined || lane.segmentsOut < before.segmentsOut) return;
    const lost = lane.retransmits - before.retransmits;
    this.#segments += lane.segmentsOut - before.segmentsOut;
    if (queued) this.#lostQueued += lost;
    else this.#lostUnqueued += lost;
  }

  #judgeCubic(now: Instant): boolean {
    if (this.#lostUnqueued >= RANDOM_LOSSES && this.#lostUnqueued >= RANDOM_LOSS * this.#segments) {
      this.#cubicNotBefore = now + this.#retryMs;
      this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
      return this.#switchTo("bbr");
    }
    this.#endWindow();
    return false;
  }

  #judgeBbr(now: Instant): boolean {
    if (this.#segments < WINDOW_SEGMENTS) return false;
    this.#cleanSegments = this.#lost < CLEAN_LOSS * this.#segments ? this.#cleanSegments + this.#segments : 0;
    const selfInflicted =
      this.#lostQueued >= SELF_INFLICTED_LOSS * this.#segments && this.#lostUnqueued < RANDOM_LOSS * this.#segments;
    const clean = this.#cleanSegments >= CLEAN_SEGMENTS;
    if ((selfInflicted || clean) && now >= this.#cubicNotBefore) return this.#switchTo("cubic");
    this.#endWindow();
    return false;
  }

  get #lost(): number {
    return this.#lostQueued + this.#lostUnqueued;
  }

  #switchTo(choice: CongestionControl): true {
    this.choice = choice;
    this.switches++;
    this.#cleanSegments = 0;
    this.#clear();
    return true;
  }

  #endWindow(): void {
    if (this.#segments >= WINDOW_SEGMENTS) this.#clear();
  }

  #clear(): void {
    this.#segments = 0;
    this.#lostQueued = 0;
    this.#lostUnqueued = 0;
  }
}

/** Lanes share a path: one that sees a queue speaks for all, because a quiet lane's smoothed round trip lags behind. */
function isQueued(lanes: ReadonlyMap<number, LaneSample>): boolean {
  let shortest = Number.POSITIVE_INFINITY;
  let longest = 0;
  for (const { rttMs, minRttMs } of lanes.values()) {
    if (minRttMs > 0) shortest = Math.min(shortest, minRttMs);
    longest = Math.max(longest, rttMs);
  }
  return longest > shortest * QUEUED_FACTOR + QUEUED_MARGIN_MS;
}
