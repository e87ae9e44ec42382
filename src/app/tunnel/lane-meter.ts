import type { LaneStatus } from "../../core/tunnel/status.ts";

/** What one lane of the client carried; redialled lanes count on under their number. */
export interface LaneTotals {
  readonly id: number;
  readonly open: boolean;
  readonly packetsUp: number;
  readonly packetsDown: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

const NOTHING = { packetsUp: 0, packetsDown: 0, bytesUp: 0, bytesDown: 0 };

/** Sums up a client's lanes over their redials: a new connection starts its counters at zero. */
export class LaneMeter {
  readonly #connections = new Map<number, LaneTotals>();
  readonly #past = new Map<number, LaneTotals>();

  /** Look at the client's lanes now. What a lane carries between its last sample and its end is not seen. */
  sample(lanes: readonly LaneStatus[]): void {
    const closed = new Set(this.#connections.keys());
    for (const lane of lanes) {
      const before = this.#connections.get(lane.id);
      const now = totalsOf(lane);
      if (before !== undefined && now.bytesUp < before.bytesUp) this.#retire(before);
      this.#connections.set(lane.id, now);
      closed.delete(lane.id);
    }
    for (const id of closed) {
      const before = this.#connections.get(id);
      if (before !== undefined) this.#retire(before);
      this.#connections.set(id, { id, open: false, ...NOTHING });
    }
  }

  /** By lane number. */
  get lanes(): LaneTotals[] {
    return [...this.#connections.values()]
      .map((lane) => add(lane, this.#past.get(lane.id)))
      .sort((one, other) => one.id - other.id);
  }

  #retire(lane: LaneTotals): void {
    this.#past.set(lane.id, add(lane, this.#past.get(lane.id)));
  }
}

function totalsOf(lane: LaneStatus): LaneTotals {
  return {
    id: lane.id,
    open: lane.state === "open",
    packetsUp: lane.packetsOut,
    packetsDown: lane.packetsIn,
    bytesUp: lane.bytesOut,
    bytesDown: lane.bytesIn,
  };
}

function add(lane: LaneTotals, past: LaneTotals | undefined): LaneTotals {
  if (past === undefined) return lane;
  return {
    id: lane.id,
    open: lane.open,
    packetsUp: lane.packetsUp + past.packetsUp,
    packetsDown: lane.packetsDown + past.packetsDown,
    bytesUp: lane.bytesUp + past.bytesUp,
    bytesDown: lane.bytesDown + past.bytesDown,
  };
}
