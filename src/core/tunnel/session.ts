import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { CAP_SEQ } from "../wire/control.ts";
import { type FrameErrorKind, HEADER_BYTES, MAX_PAYLOAD_BYTES, PREFIX_BYTES } from "../wire/pdu.ts";
import type { Direction, TunnelCounters } from "./counters.ts";
import { Inbound } from "./inbound.ts";
import type { Lane } from "./lane.ts";
import { Queue, type QueueLimits } from "./queue.ts";
import type { Resequencer } from "./resequencer.ts";
import { type Pick, Scheduler } from "./scheduler.ts";
import { serialNext } from "./serial.ts";

/** What has waited longer when lanes return is stale: WireGuard has long sent something newer. */
export const STALE_MS = 5_000;

/** What a lane takes even when its window is full, so that an acknowledgement finds something to send: two segments. */
const MIN_BATCH_BYTES = 4 * 1024;

export interface SessionOptions {
  readonly clientCn: string;
  readonly sessionId: string;
  /** The direction in which this end sends. */
  readonly outbound: Direction;
  readonly queue: QueueLimits;
  readonly pick: Pick;
  /** Bytes that one lane takes from the queue at a time: one TLS record, one system call. */
  readonly batchBytes: number;
  /** 0 = deliver in the order of arrival. */
  readonly reorderMs: number;
  /** A lane whose socket takes nothing for so long is dead (where the kernel does not notice by itself). */
  readonly writeStallMs: number;
}

/** An orphan, and since when it has been one. */
interface Waiting {
  readonly datagram: Uint8Array;
  seq: number;
  readonly since: Instant;
}

/**
 * One client ⇄ server association: the queue and the scheduler of the outbound direction, the order and the loss
 * count of the inbound one, and the lanes between. The same machine runs at both ends; who dials, who greets and who
 * owns the UDP socket is decided around it (`LanePool`, `SessionTable`).
 *
 * Bulk path: `offer` → `nextBatch` → (shell writes the lane's outbox) and `receive` → (shell sends what is in `out`).
 */
export class Session {
  readonly clientCn: string;
  readonly sessionId: string;
  readonly counters: TunnelCounters;
  readonly queue: Queue;
  readonly lanes: Lane[] = [];
  /** Fixed by the first hello_ack; undefined until then, empty with a peer that speaks only DATA. */
  caps: readonly string[] | undefined;
  epoch = 0;
  lastDataAt: Instant;
  /** Source port of the last local datagram, the key of `tcp.pick: hash` for what is not WireGuard. */
  sourcePort = 0;

  readonly #options: SessionOptions;
  readonly #scheduler: Scheduler;
  readonly #inbound: Inbound;
  #sendSeq = 0;
  #orphans: Waiting[] = [];

  constructor(options: SessionOptions, counters: TunnelCounters, now: Instant) {
    this.clientCn = options.clientCn;
    this.sessionId = options.sessionId;
    this.counters = counters;
    this.#options = options;
    this.queue = new Queue(options.queue, this.#outbound);
    this.#scheduler = new Scheduler(options.pick);
    const inbound = options.outbound === "up" ? counters.down : counters.up;
    this.#inbound = new Inbound(this.lanes, options.reorderMs, counters, inbound);
    this.lastDataAt = now;
  }

  /** What holds datagrams back for their order, if that was asked for. */
  get resequencer(): Resequencer | undefined {
    return this.#inbound.resequencer;
  }

  /** Datagrams that wait for a lane: in the queue, or left behind by one that broke. */
  get queuedPackets(): number {
    return this.queue.packets + this.#orphans.length;
  }

  /** Those, and what stands in outboxes that no socket has taken whole: `queued` in the sum of both nodes. */
  get unsentPackets(): number {
    return this.queuedPackets + this.lanes.reduce((sum, lane) => sum + lane.orphans().length, 0);
  }

  /** Take one datagram from the local UDP side. Returns how many older ones had to go, or -1 if it was too large. */
  offer(now: Instant, datagram: Uint8Array): number {
    this.lastDataAt = now;
    this.#outbound.inPackets++;
    this.#outbound.inBytes += datagram.length;
    if (datagram.length > MAX_PAYLOAD_BYTES - PREFIX_BYTES) {
      this.#outbound.drops.too_large++;
      return -1;
    }
    return this.queue.push(now, datagram);
  }

  /** Fill the outbox of the lane whose turn it is. Undefined: nothing waits, or no lane can take more now. */
  nextBatch(now: Instant): Lane | undefined {
    if (this.#orphans.length > 0) {
      const lane = this.#orphanBatch(now);
      if (lane !== undefined) return lane;
    }
    const head = this.queue.peek(now);
    if (head === undefined) return undefined;
    const lane = this.#scheduler.pick(this.lanes, head, this.sourcePort);
    if (lane === undefined) return undefined;
    const budget = this.#budget(lane);
    let first: Uint8Array | undefined;
    for (;;) {
      this.queue.thin(now);
      const datagram = this.queue.peek(now);
      if (datagram === undefined) break;
      first ??= datagram;
      if (!this.#scheduler.together(this.lanes, first, datagram, this.sourcePort)) break;
      const size = HEADER_BYTES + PREFIX_BYTES + datagram.length;
      if (lane.pendingBytes > 0 && lane.pendingBytes + size > budget) break;
      this.counters.queueDelay.observe(this.queue.shift(now));
      this.#outbound.outPackets++;
      this.#outbound.outBytes += datagram.length;
      lane.putData(datagram, lane.sequenced ? this.#takeSeq() : -1);
    }
    return lane;
  }

  /**
   * A lane is up: it may carry datagrams from now on. The peer puts on it only numbers that it has yet to give out, so
   * nothing up to the newest that has arrived is still to come over it.
   */
  attach(now: Instant, lane: Lane): void {
    if (this.lanes.length === 0) this.#dropStale(now);
    lane.session = this;
    lane.lastSeq = this.#inbound.newest;
    this.lanes.push(lane);
  }

  /** A lane is gone, its last byte has been received. What its socket never took goes to the other lanes. */
  detach(now: Instant, lane: Lane, out: Uint8Array[]): void {
    const index = this.lanes.indexOf(lane);
    if (index < 0) return;
    this.lanes.splice(index, 1);
    // A number of another epoch would be taken for one of this.
    const numbered = lane.epoch === this.epoch;
    for (const { datagram, seq } of lane.orphans())
      this.#orphans.push({ datagram, seq: numbered ? seq : -1, since: now });
    this.#inbound.settle(now, out);
  }

  /** The lane was acknowledged: SEQ from here on if both sides can, under this epoch. */
  acknowledge(lane: Lane, epoch: number, caps: readonly string[], out: Uint8Array[]): void {
    if (this.caps === undefined || this.epoch !== epoch) {
      this.caps = caps;
      this.epoch = epoch;
      this.#restartSequence(out);
    }
    lane.greeted = true;
    lane.epoch = epoch;
    lane.sequenced = this.caps.includes(CAP_SEQ);
  }

  /**
   * Go on decoding what `lane.feed` was given. Datagrams for the local UDP side are appended to `out`; they may point
   * into the chunk, so the shell sends them before it returns to the socket. Stops at a control message, an error, or
   * the end of the chunk.
   */
  receive(now: Instant, lane: Lane, out: Uint8Array[]): "control" | "need-more" | FrameErrorKind {
    for (;;) {
      const event = lane.next(now);
      if (event === "control" || event === "need-more") return event;
      if (event === "error") return lane.error ?? "bad_magic";
      const problem = this.acceptData(now, lane, out);
      if (problem !== undefined) return problem;
    }
  }

  /** The datagram that `lane.next` just found. */
  acceptData(now: Instant, lane: Lane, out: Uint8Array[]): FrameErrorKind | undefined {
    const { seq, channel, payload } = lane.decoder;
    // Only what both sides named may be used; channels are not offered by this build.
    if (channel >= 0 || (seq >= 0 && !lane.sequenced)) return "bad_flags";
    // The rest of a lane that an old server process left behind: its numbers mean nothing here.
    if (seq >= 0 && lane.epoch !== this.epoch) return undefined;
    this.lastDataAt = now;
    if (seq < 0) this.#inbound.plain(payload, out);
    else this.#inbound.numbered(now, lane, seq, payload, out);
    return undefined;
  }

  nextTimeout(): Instant {
    let earliest = this.#inbound.nextTimeout();
    for (const lane of this.lanes)
      earliest = Math.min(earliest, lane.nextTimeout(), lane.blockedSince + this.#options.writeStallMs);
    return earliest;
  }

  /** Release what has waited long enough. Returns the lanes that are dead and must be closed, each of them once. */
  handleTimeout(now: Instant, out: Uint8Array[]): Lane[] {
    this.#inbound.handleTimeout(now, out);
    const dead: Lane[] = [];
    for (const lane of this.lanes) {
      const stuck = lane.blockedSince + this.#options.writeStallMs <= now;
      if (stuck) lane.blockedSince = NEVER;
      if (lane.handleTimeout(now) === "error" || stuck) dead.push(lane);
    }
    return dead;
  }

  /** The session ends: everything that still waits is given up and counted. */
  close(out: Uint8Array[]): void {
    this.#restartSequence(out);
    this.queue.dropOlderThan(NEVER, "closed");
    this.#outbound.drops.closed += this.#orphans.length;
    this.#orphans = [];
  }

  get #outbound() {
    return this.#options.outbound === "up" ? this.counters.up : this.counters.down;
  }

  #dropStale(now: Instant): void {
    this.queue.dropOlderThan(now - STALE_MS, "stale");
    this.#dropStaleOrphans(now);
  }

  #dropStaleOrphans(now: Instant): void {
    const fresh = this.#orphans.filter((orphan) => now - orphan.since <= STALE_MS);
    // A numbered one leaves a gap, and the receiver counts it as lost from that: counting it here would make two of it.
    for (const orphan of this.#orphans)
      if (orphan.seq < 0 && now - orphan.since > STALE_MS) this.#outbound.drops.stale++;
    this.#orphans = fresh;
  }

  /** What a lane takes at a time: no more than its window lets out, else the rest waits in there while others idle. */
  #budget(lane: Lane): number {
    return Math.min(this.#options.batchBytes, Math.max(MIN_BATCH_BYTES, lane.window));
  }

  #takeSeq(): number {
    const seq = this.#sendSeq;
    this.#sendSeq = serialNext(seq);
    return seq;
  }

  /**
   * Orphans go before all else, as they are oldest. One that has a number needs a lane of its epoch that knows numbers:
   * sent without, it would arrive, and its number would be missed all the same.
   */
  #orphanBatch(now: Instant): Lane | undefined {
    this.#dropStaleOrphans(now);
    const first = this.#orphans[0];
    if (first === undefined) return undefined;
    const able = (orphan: Waiting) => (lane: Lane) => orphan.seq < 0 || (lane.sequenced && lane.epoch === this.epoch);
    const lane = this.#scheduler.pick(this.lanes.filter(able(first)), first.datagram, this.sourcePort);
    if (lane === undefined) return undefined;
    const budget = this.#budget(lane);
    for (let next = this.#orphans[0]; next !== undefined && lane.pendingBytes < budget; next = this.#orphans[0]) {
      if (!able(next)(lane)) break;
      lane.putData(next.datagram, next.seq);
      this.#orphans.shift();
    }
    return lane;
  }

  #restartSequence(out: Uint8Array[]): void {
    this.#inbound.restart(out);
    this.#sendSeq = 0;
    for (const orphan of this.#orphans) orphan.seq = -1;
  }
}
