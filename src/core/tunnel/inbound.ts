import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import type { DirectionCounters, TunnelCounters } from "./counters.ts";
import type { Lane } from "./lane.ts";
import { LossLedger } from "./loss-ledger.ts";
import { Resequencer } from "./resequencer.ts";
import { serialDistance, serialNext } from "./serial.ts";

/**
 * The receiving half of a session: counts what arrives, refuses what arrives twice, puts it back in order if that is
 * wanted, and learns from the sequence numbers what was lost with a lane.
 *
 * One rule drives both the order and the loss count: lanes are FIFO, so a number can no longer come as soon as every
 * lane that could bring it has brought a later one.
 */
export class Inbound {
  readonly resequencer: Resequencer | undefined;
  readonly #lanes: readonly Lane[];
  readonly #counters: TunnelCounters;
  readonly #direction: DirectionCounters;
  readonly #ledger = new LossLedger();
  #countedLost = 0;
  #countedWaited = 0;
  #countedTimeouts = 0;

  /** `lanes` are the session's live ones, seen as they are at each call. `reorderMs` 0 = the order of arrival. */
  constructor(lanes: readonly Lane[], reorderMs: number, counters: TunnelCounters, direction: DirectionCounters) {
    this.#lanes = lanes;
    this.#counters = counters;
    this.#direction = direction;
    this.resequencer = reorderMs > 0 ? new Resequencer({ reorderMs }) : undefined;
  }

  /** The newest number that has arrived in this epoch, or -1. */
  get newest(): number {
    return this.#ledger.newest;
  }

  /** Numbers that are missing and not yet given up: they may still be on their way. */
  get missing(): number {
    return this.#ledger.open;
  }

  /** A datagram without a number leaves at once. */
  plain(datagram: Uint8Array, out: Uint8Array[]): void {
    this.#count(datagram);
    out.push(datagram);
  }

  /** Number `seq` came over `lane`. Appends to `out` what may leave now. */
  numbered(now: Instant, lane: Lane, seq: number, datagram: Uint8Array, out: Uint8Array[]): void {
    if (lane.lastSeq < 0 || serialDistance(seq, lane.lastSeq) > 0) lane.lastSeq = seq;
    const fresh = this.#ledger.arrive(seq);
    if (fresh) this.#count(datagram);
    this.settle(now, out);
    if (!fresh) return;
    if (this.resequencer === undefined) out.push(datagram);
    else this.resequencer.push(now, seq, datagram, out);
    this.#countWaits();
  }

  /** Lanes have moved on or gone: numbers that none can bring any more are lost, and nobody waits for them. */
  settle(now: Instant, out: Uint8Array[]): void {
    const floor = this.#floor();
    // Without lanes nothing fills a gap soon. Whether it will ever be filled shows when the peer is back.
    if (floor === undefined || this.#lanes.length === 0) this.#ledger.handleTimeout(now);
    else this.#ledger.settle(now, floor);
    this.#countLost();
    if (floor !== undefined) this.resequencer?.settle(floor, out);
  }

  /** A new epoch: everything held leaves, what was missing is lost, numbers start again at zero. */
  restart(out: Uint8Array[]): void {
    this.#ledger.reset();
    this.#countLost();
    this.resequencer?.reset(out);
    for (const lane of this.#lanes) lane.lastSeq = -1;
  }

  nextTimeout(): Instant {
    return Math.min(this.#ledger.nextTimeout(), this.resequencer?.nextTimeout() ?? NEVER);
  }

  handleTimeout(now: Instant, out: Uint8Array[]): void {
    this.resequencer?.handleTimeout(now, out);
    this.#countWaits();
    this.#ledger.handleTimeout(now);
    this.#countLost();
  }

  /**
   * The lowest number that may still come. Undefined: a lane has brought nothing yet, so any may. A lane that still
   * waits for its hello_ack counts as well: numbers may be right behind the ack.
   */
  #floor(): number | undefined {
    let floor = serialNext(this.#ledger.newest);
    for (const lane of this.#lanes) {
      if (lane.error !== undefined || lane.heardGoodbye) continue;
      if (lane.lastSeq < 0) return undefined;
      if (serialDistance(lane.lastSeq, floor) < 0) floor = lane.lastSeq;
    }
    return floor;
  }

  #count(datagram: Uint8Array): void {
    this.#direction.inPackets++;
    this.#direction.inBytes += datagram.length;
  }

  #countLost(): void {
    this.#direction.drops.lane_lost += this.#ledger.lost - this.#countedLost;
    this.#countedLost = this.#ledger.lost;
  }

  #countWaits(): void {
    if (this.resequencer === undefined) return;
    const { waited, timeouts } = this.resequencer;
    this.#counters.resequencedPackets += waited - this.#countedWaited;
    this.#counters.reorderTimeouts += timeouts - this.#countedTimeouts;
    this.#countedWaited = waited;
    this.#countedTimeouts = timeouts;
  }
}
