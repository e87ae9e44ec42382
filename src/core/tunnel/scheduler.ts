import type { Lane } from "./lane.ts";
import { wireGuardReceiver } from "./wireguard.ts";

export type Pick = "round_robin" | "hash";

/**
 * Which lane takes next. It only ever offers lanes whose socket accepts more now, so the backlog stays in the queue,
 * where drop-oldest means something, and a slow lane simply takes less.
 *
 * - `round_robin`: in turn.
 * - `hash`: the lane that the WireGuard receiver index (or `fallbackKey`, the source port) points at; when that one
 *   cannot take more, the next one that can. A busy lane costs order, never delay.
 *
 * A stalled lane is offered only when every other lane is gone: a datagram on it may wait for seconds. Left out on
 * purpose: free congestion window and repairs under way, read from TCP_INFO. They were worth nothing that could be
 * measured and cost a tenth of the CPU (docs/performance.md).
 */
export class Scheduler {
  readonly #pick: Pick;
  #turn = 0;

  constructor(pick: Pick) {
    this.#pick = pick;
  }

  /** The lane for `datagram`, or undefined if none can take it now. */
  pick(lanes: readonly Lane[], datagram: Uint8Array, fallbackKey: number): Lane | undefined {
    if (lanes.length === 0) return undefined;
    const start = this.#pick === "hash" ? hashLane(datagram, fallbackKey, lanes.length) : this.#turn % lanes.length;
    let healthy = false;
    let stalled = -1;
    for (let step = 0; step < lanes.length; step++) {
      const index = (start + step) % lanes.length;
      const lane = lanes[index]!; // index < length
      if (!lane.stalled && !lane.saidGoodbye) healthy = true;
      if (!lane.ready) continue;
      if (!lane.stalled) return this.#take(lanes, index);
      if (stalled < 0) stalled = index;
    }
    return stalled < 0 || healthy ? undefined : this.#take(lanes, stalled);
  }

  /** Whether `next` may ride in the batch of `first`: by hash only if both belong on the same lane. */
  together(lanes: readonly Lane[], first: Uint8Array, next: Uint8Array, fallbackKey: number): boolean {
    if (this.#pick !== "hash") return true;
    return hashLane(first, fallbackKey, lanes.length) === hashLane(next, fallbackKey, lanes.length);
  }

  #take(lanes: readonly Lane[], index: number): Lane | undefined {
    this.#turn = index + 1;
    return lanes[index];
  }
}

function hashLane(datagram: Uint8Array, fallbackKey: number, lanes: number): number {
  const receiver = wireGuardReceiver(datagram);
  // Knuth's multiplicative hash: indices and ports are often consecutive or even.
  return (Math.imul(receiver >= 0 ? receiver : fallbackKey, 0x9e37_79b1) >>> 16) % lanes;
}
