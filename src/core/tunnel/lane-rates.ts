import type { Instant } from "../time.ts";
import type { LaneStatus, NodeStatus } from "./status.ts";

/** What a lane carries now, each way as its node sees it. */
export interface LaneRate {
  readonly inBitsPerSecond: number;
  readonly outBitsPerSecond: number;
}

const STILL: LaneRate = { inBitsPerSecond: 0, outBitsPerSecond: 0 };

interface Seen extends LaneRate {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Speeds of all lanes of a process, from two looks at their counters. It holds as much as there are lanes. */
export class LaneRates {
  #at: Instant = Number.NEGATIVE_INFINITY;
  #lanes = new Map<string, Seen>();

  observe(at: Instant, nodes: readonly NodeStatus[]): void {
    const elapsedMs = at - this.#at;
    if (elapsedMs <= 0) return;
    const lanes = new Map<string, Seen>();
    for (const { sessionId, lanes: open } of nodes.flatMap((node) => node.sessions))
      for (const lane of open) lanes.set(keyOf(sessionId, lane), seen(lane, this.#before(sessionId, lane), elapsedMs));
    this.#lanes = lanes;
    this.#at = at;
  }

  /** Nothing yet of a lane that opened since the last look. */
  of(sessionId: string, lane: LaneStatus): LaneRate {
    const { inBitsPerSecond, outBitsPerSecond } = this.#before(sessionId, lane) ?? STILL;
    return { inBitsPerSecond, outBitsPerSecond };
  }

  /** The last look at this connection, not at another one that stood for the same lane. */
  #before(sessionId: string, lane: LaneStatus): Seen | undefined {
    const before = this.#lanes.get(keyOf(sessionId, lane));
    return before !== undefined && before.bytesIn <= lane.bytesIn && before.bytesOut <= lane.bytesOut
      ? before
      : undefined;
  }
}

function keyOf(sessionId: string, { id, remote }: LaneStatus): string {
  return `${sessionId} ${id} ${remote}`;
}

function seen({ bytesIn, bytesOut }: LaneStatus, before: Seen | undefined, elapsedMs: number): Seen {
  const rate = (bytes: number) => (Number.isFinite(elapsedMs) ? Math.round((bytes * 8_000) / elapsedMs) : 0);
  return {
    bytesIn,
    bytesOut,
    inBitsPerSecond: rate(bytesIn - (before?.bytesIn ?? 0)),
    outBitsPerSecond: rate(bytesOut - (before?.bytesOut ?? 0)),
  };
}
