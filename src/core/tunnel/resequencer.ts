import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { serialDistance, serialNext } from "./serial.ts";

/** Never more than this is held back, whatever the lanes do. Source: DESIGN "Order". */
export const HELD_PACKETS = 4_096;
export const HELD_BYTES = 8 * 1024 * 1024;

/**
 * Puts the datagrams of one session and direction back in the order in which they were taken, because TCP inside the
 * tunnel reads reordering as loss. It never waits for long: a gap is given up when no lane can still fill it, when a
 * datagram behind it has waited `reorderMs`, or when too much is held.
 *
 * Left out on purpose: duplicates and loss counts (`LossLedger` has seen each number before it comes here), and the
 * knowledge of lanes (the session says what the floor is).
 */
export class Resequencer {
  readonly #reorderMs: number;
  /** The number that may leave next. */
  #next = 0;
  readonly #slots: (Uint8Array | undefined)[] = new Array(HELD_PACKETS).fill(undefined);
  /** Held numbers in the order of their arrival, with those that left meanwhile still among them. */
  #arrivals: { seq: number; at: Instant }[] = [];
  #arrivalsHead = 0;
  heldPackets = 0;
  heldBytes = 0;
  /** Datagrams that had to wait at all, and gaps given up because time was over. */
  waited = 0;
  timeouts = 0;

  constructor(options: { reorderMs: number }) {
    this.#reorderMs = options.reorderMs;
  }

  /**
   * Take `datagram`, append to `out` whatever may leave now. A datagram that has to wait is copied, since its bytes
   * belong to a receive buffer.
   */
  push(now: Instant, seq: number, datagram: Uint8Array, out: Uint8Array[]): void {
    const ahead = serialDistance(seq, this.#next);
    if (ahead < 0) {
      // Its gap was given up already: late is better than never.
      out.push(datagram);
      return;
    }
    if (ahead === 0) {
      out.push(datagram);
      this.#next = serialNext(this.#next);
      if (this.heldPackets > 0) this.#releaseRun(out);
      return;
    }
    if (ahead >= HELD_PACKETS) this.#advance(serialNext(seq, 1 - HELD_PACKETS), out);
    this.#hold(now, seq, datagram);
    while (this.heldBytes > HELD_BYTES) this.#skipGap(out);
    if (this.heldPackets > 0 && this.#slots[this.#next % HELD_PACKETS] !== undefined) this.#releaseRun(out);
  }

  /** No lane can deliver a number before `floor` any more: give up the gaps before it. */
  settle(floor: number, out: Uint8Array[]): void {
    if (serialDistance(floor, this.#next) > 0) this.#advance(floor, out);
  }

  /** When the datagram that has waited longest must leave. */
  nextTimeout(): Instant {
    const oldest = this.#oldest();
    return oldest === undefined ? NEVER : oldest.at + this.#reorderMs;
  }

  handleTimeout(now: Instant, out: Uint8Array[]): void {
    for (let oldest = this.#oldest(); oldest !== undefined; oldest = this.#oldest()) {
      if (oldest.at + this.#reorderMs > now) return;
      this.timeouts++;
      this.#advance(oldest.seq, out);
      this.#releaseRun(out);
    }
  }

  /** A new epoch: everything held leaves now, numbering starts again at zero. */
  reset(out: Uint8Array[]): void {
    while (this.heldPackets > 0) this.#skipGap(out);
    this.#next = 0;
    this.#arrivals = [];
    this.#arrivalsHead = 0;
  }

  #hold(now: Instant, seq: number, datagram: Uint8Array): void {
    this.#slots[seq % HELD_PACKETS] = datagram.slice();
    this.heldPackets++;
    this.heldBytes += datagram.length;
    this.waited++;
    if (this.#arrivals.length >= 2 * HELD_PACKETS) this.#forgetReleased();
    this.#arrivals.push({ seq, at: now });
  }

  /** Move `next` to `to`, releasing what is held on the way. */
  #advance(to: number, out: Uint8Array[]): void {
    while (serialDistance(to, this.#next) > 0) {
      if (this.heldPackets === 0) {
        this.#next = to;
        return;
      }
      this.#releaseSlot(out);
      this.#next = serialNext(this.#next);
    }
    this.#releaseRun(out);
  }

  /** Give up the gap in front and release the run behind it. */
  #skipGap(out: Uint8Array[]): void {
    while (this.heldPackets > 0 && this.#slots[this.#next % HELD_PACKETS] === undefined)
      this.#next = serialNext(this.#next);
    this.#releaseRun(out);
  }

  #releaseRun(out: Uint8Array[]): void {
    while (this.heldPackets > 0 && this.#slots[this.#next % HELD_PACKETS] !== undefined) {
      this.#releaseSlot(out);
      this.#next = serialNext(this.#next);
    }
  }

  #releaseSlot(out: Uint8Array[]): void {
    const slot = this.#next % HELD_PACKETS;
    const datagram = this.#slots[slot];
    if (datagram === undefined) return;
    this.#slots[slot] = undefined;
    this.heldPackets--;
    this.heldBytes -= datagram.length;
    out.push(datagram);
  }

  /** Keep the arrival list as short as what is held: a gap at its head may live as long as traffic does. */
  #forgetReleased(): void {
    this.#arrivals = this.#arrivals.filter((arrival) => serialDistance(arrival.seq, this.#next) >= 0);
    this.#arrivalsHead = 0;
  }

  #oldest(): { seq: number; at: Instant } | undefined {
    while (this.#arrivalsHead < this.#arrivals.length) {
      const arrival = this.#arrivals[this.#arrivalsHead]!; // head < length
      if (serialDistance(arrival.seq, this.#next) >= 0) return arrival;
      this.#arrivalsHead++;
    }
    this.#arrivals = [];
    this.#arrivalsHead = 0;
    return undefined;
  }
}
