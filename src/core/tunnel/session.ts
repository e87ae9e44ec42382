import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { CAP_SEQ } from "../wire/control.ts";
import { type FrameErrorKind, HEADER_BYTES, MAX_PAYLOAD_BYTES, PREFIX_BYTES } from "../wire/pdu.ts";
import type { Direction, TunnelCounters } from "./counters.ts";
import type { Lane, Orphan } from "./lane.ts";
import { LossLedger } from "./loss-ledger.ts";
import { Queue, type QueueLimits } from "./queue.ts";
import { Resequencer } from "./resequencer.ts";
import { type Pick, Scheduler } from "./scheduler.ts";
import { serialDistance, serialNext } from "./serial.ts";

/** What has waited longer when lanes return is stale: WireGuard has long sent something newer. */
export const STALE_MS = 5_000;

export interface SessionOptions {
  readonly clientCn: string;
  readonly sessionId: string;
  /** The direction in which this end sends. */
  readonly outbound: Direction;
  readonly queue: QueueLimits;
  readonly pick: Pick;
  /** Bytes that one lane takes from the queue at a time: one TLS record, one system call. */
  readonly batchBytes: number;
  /** Bytes that it takes even when its congestion window is full, so that an acknowledgement finds something to send. */
  readonly minBatchBytes: number;
  /** 0 = deliver in the order of arrival. */
  readonly reorderMs: number;
  /** A lane whose socket takes nothing for so long is dead (where the kernel does not notice by itself). */
  readonly writeStallMs: number;
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
  readonly resequencer: Resequencer | undefined;
  readonly lanes: Lane[] = [];
  /** Fixed by the first hello_ack; undefined until then, empty with a peer that speaks only DATA. */
  caps: readonly string[] | undefined;
  epoch = 0;
  lastDataAt: Instant;
  /** Source port of the last local datagram, the key of `tcp.pick: hash` for what is not WireGuard. */
  sourcePort = 0;

  readonly #options: SessionOptions;
  readonly #scheduler: Scheduler;
  readonly #ledger = new LossLedger();
  #countedLost = 0;
  #sendSeq = 0;
  #orphans: Orphan[] = [];
  #lanelessSince: Instant;

  constructor(options: SessionOptions, counters: TunnelCounters, now: Instant) {
    this.clientCn = options.clientCn;
    this.sessionId = options.sessionId;
    this.counters = counters;
    this.#options = options;
    this.queue = new Queue(options.queue, this.#outbound);
    this.#scheduler = new Scheduler(options.pick);
    this.resequencer = options.reorderMs > 0 ? new Resequencer({ reorderMs: options.reorderMs }) : undefined;
    this.lastDataAt = now;
    this.#lanelessSince = now;
  }

  /** Datagrams that wait for a lane: in the queue, orphaned, or in an outbox that its socket has not taken. */
  get queuedPackets(): number {
    return this.queue.packets + this.#orphans.length;
  }

  /** Counted as sent but not given to any socket yet: what `queued` means in the sum of both nodes. */
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
    const first = this.#orphans[0]?.datagram ?? this.queue.peek(now);
    if (first === undefined) return undefined;
    const lane = this.#scheduler.pick(this.lanes, first, this.sourcePort);
    if (lane === undefined) return undefined;
    const budget = this.#budget(lane);
    while (this.#orphans.length > 0 && lane.pendingBytes < budget) this.#takeOrphan(lane);
    for (;;) {
      this.queue.thin(now);
      const datagram = this.queue.peek(now);
      if (datagram === undefined) break;
      const size = HEADER_BYTES + PREFIX_BYTES + datagram.length;
      if (lane.pendingBytes > 0 && lane.pendingBytes + size > budget) break;
      this.counters.queueDelay.observe(this.queue.shift(now));
      this.#outbound.outPackets++;
      this.#outbound.outBytes += datagram.length;
      lane.putData(datagram, lane.sequenced ? this.#takeSeq() : -1);
    }
    return lane;
  }

  /** A lane is up: it may carry datagrams from now on. */
  attach(now: Instant, lane: Lane): void {
    if (this.lanes.length === 0) this.#dropStale(now);
    lane.session = this;
    this.lanes.push(lane);
  }

  /** A lane is gone, its last byte has been received. What its socket never took goes to the other lanes. */
  detach(now: Instant, lane: Lane, out: Uint8Array[]): void {
    const index = this.lanes.indexOf(lane);
    if (index < 0) return;
    this.lanes.splice(index, 1);
    this.#orphans.push(...lane.orphans());
    if (this.lanes.length === 0) this.#lanelessSince = now;
    this.#settle(out);
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
    this.lastDataAt = now;
    if (seq < 0) {
      this.#countIn(payload);
      out.push(payload);
      return undefined;
    }
    lane.lastSeq = lane.lastSeq < 0 || serialDistance(seq, lane.lastSeq) > 0 ? seq : lane.lastSeq;
    const fresh = this.#ledger.arrive(seq);
    if (fresh) this.#countIn(payload);
    this.#settle(out);
    if (!fresh) return undefined;
    if (this.resequencer === undefined) out.push(payload);
    else this.resequencer.push(now, seq, payload, out);
    return undefined;
  }

  nextTimeout(): Instant {
    let earliest = this.resequencer?.nextTimeout() ?? NEVER;
    for (const lane of this.lanes)
      earliest = Math.min(earliest, lane.nextTimeout(), lane.blockedSince + this.#options.writeStallMs);
    return earliest;
  }

  /** Release what has waited long enough. Returns the lanes that are dead and must be closed. */
  handleTimeout(now: Instant, out: Uint8Array[]): Lane[] {
    this.resequencer?.handleTimeout(now, out);
    return this.lanes.filter(
      (lane) => lane.handleTimeout(now) === "error" || lane.blockedSince + this.#options.writeStallMs <= now,
    );
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

  get #inbound() {
    return this.#options.outbound === "up" ? this.counters.down : this.counters.up;
  }

  #countIn(payload: Uint8Array): void {
    this.#inbound.inPackets++;
    this.#inbound.inBytes += payload.length;
  }

  #dropStale(now: Instant): void {
    this.queue.dropOlderThan(now - STALE_MS, "stale");
    if (now - this.#lanelessSince <= STALE_MS) return;
    this.#outbound.drops.stale += this.#orphans.length;
    this.#orphans = [];
  }

  /** What a lane takes at a time: no more than its window lets out, else the rest waits in there while others idle. */
  #budget(lane: Lane): number {
    const { batchBytes, minBatchBytes } = this.#options;
    return Math.max(minBatchBytes, Math.min(batchBytes, lane.window));
  }

  #takeSeq(): number {
    const seq = this.#sendSeq;
    this.#sendSeq = serialNext(seq);
    return seq;
  }

  #takeOrphan(lane: Lane): void {
    const orphan = this.#orphans.shift()!; // asked only when there is one
    // Its number is still good for lanes of the same epoch; a plain lane or a new epoch knows nothing of it.
    lane.putData(orphan.datagram, lane.sequenced ? orphan.seq : -1);
  }

  /** Numbers that no live lane can deliver any more are lost, and nobody waits for them. */
  #settle(out: Uint8Array[]): void {
    const floor = this.#floor();
    if (floor === undefined) return;
    this.#ledger.settle(floor);
    this.#countLost();
    this.resequencer?.settle(floor, out);
  }

  /** The lowest of what the live lanes delivered last: lanes are FIFO, so nothing before it can still come. */
  #floor(): number | undefined {
    let floor: number | undefined;
    for (const lane of this.lanes) {
      if (!lane.sequenced || lane.heardGoodbye) continue;
      if (lane.lastSeq < 0) return undefined;
      if (floor === undefined || serialDistance(lane.lastSeq, floor) < 0) floor = lane.lastSeq;
    }
    return floor;
  }

  #countLost(): void {
    this.#inbound.drops.lane_lost += this.#ledger.lost - this.#countedLost;
    this.#countedLost = this.#ledger.lost;
  }

  #restartSequence(out: Uint8Array[]): void {
    this.#ledger.reset();
    this.#countLost();
    this.resequencer?.reset(out);
    this.#sendSeq = 0;
    this.#orphans = this.#orphans.map((orphan) => ({ datagram: orphan.datagram, seq: -1 }));
    for (const lane of this.lanes) lane.lastSeq = -1;
  }
}
