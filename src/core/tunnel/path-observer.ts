import type { Instant } from "../time.ts";

/** What TCP_INFO says of one lane. Counters are totals since the connection began. */
export interface LaneSample {
  readonly segmentsOut: number;
  readonly retransmits: number;
  readonly bytesAcked: number;
  readonly rttMs: number;
  readonly minRttMs: number;
}

/** What happened on all lanes of a session since the sample before. */
export interface PathChange {
  readonly segments: number;
  /** Bytes that the other end has acknowledged. */
  readonly bytes: number;
  /** Segments lost while a queue stood in front of the bottleneck: somebody sends too much. */
  readonly lostQueued: number;
  /** Segments lost with the round trip at its shortest: the path loses at random. */
  readonly lostUnqueued: number;
}

/** A round trip this much above the shortest one seen means that a queue stands in front of the bottleneck. */
const QUEUED_FACTOR = 1.25;
const QUEUED_MARGIN_MS = 4;
/** A queue that overflowed has often drained by the time its losses are repaired, so it is remembered for so long. */
const QUEUE_MEMORY_MS = 250;

/** Turns the totals of single lanes into what the path did, and tells the two kinds of loss apart. */
export class PathObserver {
  readonly #last = new Map<number, LaneSample>();
  #queuedAt: Instant = Number.NEGATIVE_INFINITY;

  /** Take the samples of all live lanes, by lane id. */
  observe(now: Instant, lanes: ReadonlyMap<number, LaneSample>): PathChange {
    if (isQueued(lanes)) this.#queuedAt = now;
    let segments = 0;
    let bytes = 0;
    let lost = 0;
    for (const [id, lane] of lanes) {
      const before = this.#last.get(id);
      this.#last.set(id, lane);
      // A lane with this id but fewer segments is a new connection.
      if (before === undefined || lane.segmentsOut < before.segmentsOut) continue;
      segments += lane.segmentsOut - before.segmentsOut;
      bytes += lane.bytesAcked - before.bytesAcked;
      lost += lane.retransmits - before.retransmits;
    }
    for (const id of this.#last.keys()) if (!lanes.has(id)) this.#last.delete(id);
    const queued = now - this.#queuedAt <= QUEUE_MEMORY_MS;
    return { segments, bytes, lostQueued: queued ? lost : 0, lostUnqueued: queued ? 0 : lost };
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
