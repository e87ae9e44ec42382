import type { Instant } from "../time.ts";
import { Codel } from "./codel.ts";
import type { DirectionCounters, DropReason } from "./counters.ts";
import { Ring } from "./ring.ts";
import { isWireGuardHandshake } from "./wireguard.ts";

export interface QueueLimits {
  /** Most datagrams that wait, without the handshake ring. */
  readonly maxPackets: number;
  readonly maxBytes: number;
  /** Drop what has waited longer; 0 = never. */
  readonly maxDelayMs: number;
  /** Wait above which a queue that stays is thinned out (CoDel); 0 = never. */
  readonly targetMs: number;
}

/** WireGuard handshakes wait in a ring of their own, so that bulk traffic cannot push them out. */
export const HANDSHAKE_PACKETS = 64;

/**
 * The datagrams of one session and direction that no lane has taken yet. Bounded by packets and bytes; at a limit the
 * OLDEST goes, because a late datagram is worth less than a fresh one. Handshakes leave first.
 *
 * Every drop is counted in the direction's counters by its reason. Source: seed "队列阈值", DESIGN "Lanes".
 */
export class Queue {
  readonly #bulk: Ring;
  readonly #handshakes = new Ring(HANDSHAKE_PACKETS);
  readonly #limits: QueueLimits;
  readonly #counters: DirectionCounters;
  readonly #codel: Codel | undefined;

  constructor(limits: QueueLimits, counters: DirectionCounters) {
    this.#limits = limits;
    this.#counters = counters;
    this.#bulk = new Ring(limits.maxPackets);
    this.#codel = limits.targetMs > 0 ? new Codel(limits.targetMs) : undefined;
  }

  get packets(): number {
    return this.#bulk.count + this.#handshakes.count;
  }

  get bytes(): number {
    return this.#bulk.bytes + this.#handshakes.bytes;
  }

  /** Milliseconds that the next datagram has waited; 0 when empty. */
  oldestMs(now: Instant): number {
    return this.packets === 0 ? 0 : Math.max(0, now - this.#next().oldestAt());
  }

  /** Keeps a reference to `datagram`. Returns how many older ones had to go. */
  push(now: Instant, datagram: Uint8Array): number {
    if (isWireGuardHandshake(datagram)) {
      const full = this.#handshakes.count === HANDSHAKE_PACKETS;
      if (full) this.#drop(this.#handshakes, "oldest");
      this.#handshakes.push(now, datagram);
      return full ? 1 : 0;
    }
    let dropped = 0;
    while (
      this.#bulk.count > 0 &&
      (this.#bulk.count >= this.#limits.maxPackets || this.#bulk.bytes + datagram.length > this.#limits.maxBytes)
    ) {
      this.#drop(this.#bulk, "oldest");
      dropped++;
    }
    this.#bulk.push(now, datagram);
    return dropped;
  }

  /** Before a lane takes a datagram: thin out a queue that has been standing. */
  thin(now: Instant): void {
    if (this.#codel === undefined || this.#handshakes.count > 0) return;
    const bulk = this.#bulk;
    while (bulk.count > 0 && this.#codel.drops(now, now - bulk.oldestAt(), bulk.count === 1)) this.#drop(bulk, "codel");
  }

  /** The datagram that leaves next, still in the queue, after those that waited too long have gone. */
  peek(now: Instant): Uint8Array | undefined {
    if (this.#limits.maxDelayMs > 0) this.dropOlderThan(now - this.#limits.maxDelayMs, "delay");
    return this.packets === 0 ? undefined : this.#next().peek();
  }

  /** Remove what `peek` showed. Returns how long it waited, in milliseconds. */
  shift(now: Instant): number {
    const ring = this.#next();
    const waited = now - ring.oldestAt();
    ring.shift();
    return waited;
  }

  /** All that waits goes on waiting in `other`, since when it has. */
  moveTo(other: Queue): void {
    for (const ring of [this.#handshakes, this.#bulk])
      for (let datagram = ring.peek(); datagram !== undefined; datagram = ring.peek()) {
        other.push(ring.oldestAt(), datagram);
        ring.shift();
      }
  }

  /** Drop what was queued before `oldest`; returns how many. */
  dropOlderThan(oldest: Instant, reason: DropReason): number {
    let dropped = 0;
    for (const ring of [this.#handshakes, this.#bulk]) {
      while (ring.count > 0 && ring.oldestAt() < oldest) {
        this.#drop(ring, reason);
        dropped++;
      }
    }
    return dropped;
  }

  #next(): Ring {
    return this.#handshakes.count > 0 ? this.#handshakes : this.#bulk;
  }

  #drop(ring: Ring, reason: DropReason): void {
    ring.shift();
    this.#counters.drops[reason]++;
  }
}
