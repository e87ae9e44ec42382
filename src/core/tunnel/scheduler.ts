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
 * Among those, a lane whose congestion window lets the datagram out at once goes before one whose window is full, and
 * that one before one that repairs a loss: fewer datagrams overtake each other, and TCP inside the tunnel gets through
 * its slow start. A stalled lane is offered only when every other lane is gone: it may hold a datagram for seconds.
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
    let best = -1;
    let bestWait = Number.POSITIVE_INFINITY;
    for (let step = 0; step < lanes.length && bestWait > 0; step++) {
      const index = (start + step) % lanes.length;
      const lane = lanes[index]!; // index < length
      if (!lane.stalled && !lane.saidGoodbye) healthy = true;
      const wait = lane.ready ? expectedWait(lane) : Number.POSITIVE_INFINITY;
      if (wait >= bestWait) continue;
      best = index;
      bestWait = wait;
    }
    if (best < 0 || (bestWait === STALLED && healthy)) return undefined;
    this.#turn = best + 1;
    return lanes[best];
  }

  /** Whether `next` may ride in the batch of `first`: by hash only if both belong on the same lane. */
  together(lanes: readonly Lane[], first: Uint8Array, next: Uint8Array, fallbackKey: number): boolean {
    if (this.#pick !== "hash") return true;
    return hashLane(first, fallbackKey, lanes.length) === hashLane(next, fallbackKey, lanes.length);
  }
}

const STALLED = 3;

/** How long a datagram would wait inside a lane that accepts it: 0 = not at all, then a round trip, a repair, seconds. */
function expectedWait(lane: Lane): number {
  if (lane.stalled) return STALLED;
  if (lane.recovering) return 2;
  return lane.window > 0 ? 0 : 1;
}

function hashLane(datagram: Uint8Array, fallbackKey: number, lanes: number): number {
  const receiver = wireGuardReceiver(datagram);
  // Knuth's multiplicative hash: indices and ports are often consecutive or even.
  return (Math.imul(receiver >= 0 ? receiver : fallbackKey, 0x9e37_79b1) >>> 16) % lanes;
}
