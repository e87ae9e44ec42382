import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { CAP_CHANNEL, CAP_SEQ } from "../wire/control.ts";
import type { FrameErrorKind } from "../wire/pdu.ts";
import type { ChannelDatagram, ChannelQueues } from "./channels.ts";
import type { ChannelCounters, Direction, TunnelCounters } from "./counters.ts";
import { Inbound } from "./inbound.ts";
import type { Lane } from "./lane.ts";
import { Outbound } from "./outbound.ts";
import type { Queue, QueueLimits } from "./queue.ts";
import type { Resequencer } from "./resequencer.ts";
import type { Pick } from "./scheduler.ts";

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

/**
 * One client ⇄ server association: the queues and the scheduler of the outbound direction, the order and the loss
 * count of the inbound one, and the lanes between. The same machine runs at both ends; who dials, who greets and who
 * owns the UDP socket is decided around it (`LanePool`, `SessionTable`).
 *
 * Beside the tunnel its lanes carry channels, pipes between two peers, if both ends know them: each with a queue of its
 * own, without sequence numbers and without order, as the pipe inside numbers its packets itself.
 *
 * Bulk path: `offer` or `offerChannel` → `nextBatch` → (shell writes the lane's outbox) and `receive` → (shell sends
 * what is in `out` and takes what is in `arrivals`).
 */
export class Session {
  readonly clientCn: string;
  readonly sessionId: string;
  readonly counters: TunnelCounters;
  /**
   * Datagrams of channels that `receive` found, for the shell to take and clear before it returns to the socket: like
   * `out` they may point into the chunk. Whether their channels exist is for their taker to know.
   */
  readonly arrivals: ChannelDatagram[] = [];
  readonly lanes: Lane[] = [];
  /** Fixed by the first hello_ack; undefined until then, empty with a peer that speaks only DATA. */
  caps: readonly string[] | undefined;
  epoch = 0;
  lastDataAt: Instant;
  isClosed = false;

  readonly #writeStallMs: number;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #channelsIn: ChannelCounters;

  constructor(options: SessionOptions, counters: TunnelCounters, now: Instant) {
    this.clientCn = options.clientCn;
    this.sessionId = options.sessionId;
    this.counters = counters;
    this.#writeStallMs = options.writeStallMs;
    const { outbound } = options;
    const inbound = outbound === "up" ? "down" : "up";
    this.#outbound = new Outbound(this.lanes, options, counters);
    this.#inbound = new Inbound(this.lanes, options.reorderMs, counters, counters[inbound]);
    this.#channelsIn = counters.channels[inbound];
    this.lastDataAt = now;
  }

  /** What holds datagrams back for their order, if that was asked for. */
  get resequencer(): Resequencer | undefined {
    return this.#inbound.resequencer;
  }

  /** The tunnel's datagrams that no lane has taken yet. */
  get queue(): Queue {
    return this.#outbound.queue;
  }

  /** And those of channels. */
  get channels(): ChannelQueues {
    return this.#outbound.channels;
  }

  /** Source port of the last local datagram, the key of `tcp.pick: hash` for what is not WireGuard. */
  set sourcePort(port: number) {
    this.#outbound.sourcePort = port;
  }

  /** Datagrams that wait for a lane: in the queues, or left behind by one that broke. */
  get queuedPackets(): number {
    return this.queue.packets + this.channels.packets + this.#outbound.orphans.packets;
  }

  /** Those of channels among them. */
  get queuedChannelPackets(): number {
    return this.channels.packets + this.#outbound.orphans.channelPackets;
  }

  /** What waits, and what stands in outboxes that no socket has taken whole: `queued` in the sum of both nodes. */
  get unsentPackets(): number {
    return this.queuedPackets + this.lanes.reduce((sum, lane) => sum + lane.orphans().length, 0);
  }

  /** How long the datagram that waits longest has waited, in milliseconds; Infinity for one that a lane left behind. */
  oldestMs(now: Instant): number {
    if (this.#outbound.orphans.packets > 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.queue.oldestMs(now), this.channels.oldestMs(now));
  }

  /** Take one datagram from the local UDP side. Returns how many older ones had to go, or -1 if it was too large. */
  offer(now: Instant, datagram: Uint8Array): number {
    this.lastDataAt = now;
    return this.#outbound.push(now, datagram);
  }

  /**
   * Take one datagram for the other end of `channel`, a number of the server. Returns how many older ones had to go, or
   * -1 if it was not taken.
   */
  offerChannel(now: Instant, channel: number, datagram: Uint8Array): number {
    this.lastDataAt = now;
    const dropped = this.channels.push(now, channel, datagram);
    if (dropped < 0 || this.#mayHaveChannels) return dropped;
    this.channels.dropOlderThan(NEVER, "unsupported");
    return -1;
  }

  /** `channel` leads nowhere any more: what waits for it is given up and counted. */
  closeChannel(channel: number): void {
    this.channels.dropOlderThan(NEVER, "closed", channel);
    this.#outbound.orphans.dropChannel(channel);
  }

  /** What waits is for another server now; what waits for a channel leads nowhere there. */
  moveTo(now: Instant, other: Session): void {
    this.#outbound.moveTo(now, other.#outbound);
    other.sourcePort = this.#outbound.sourcePort;
  }

  /** Fill the outbox of the lane whose turn it is. Undefined: nothing waits, or no lane can take more now. */
  nextBatch(now: Instant): Lane | undefined {
    return this.#outbound.nextBatch(now, this.epoch);
  }

  /**
   * A lane is up: it may carry datagrams from now on. The peer puts on it only numbers that it has yet to give out, so
   * nothing up to the newest that has arrived is still to come over it.
   */
  attach(now: Instant, lane: Lane): void {
    if (this.lanes.length === 0) this.#outbound.dropStale(now);
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
    for (const orphan of lane.orphans()) this.#outbound.orphans.push(now, numbered ? orphan : { ...orphan, seq: -1 });
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
    lane.channelled = this.caps.includes(CAP_CHANNEL);
    if (!lane.channelled) this.channels.dropOlderThan(NEVER, "unsupported");
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
    // Only what both sides named may be used.
    if (channel >= 0) return lane.channelled ? this.#acceptChannel(now, channel, payload) : "bad_flags";
    if (seq >= 0 && !lane.sequenced) return "bad_flags";
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
      earliest = Math.min(earliest, lane.nextTimeout(), lane.blockedSince + this.#writeStallMs);
    return earliest;
  }

  /** Release what has waited long enough. Returns the lanes that are dead and must be closed, each of them once. */
  handleTimeout(now: Instant, out: Uint8Array[]): Lane[] {
    this.#inbound.handleTimeout(now, out);
    const dead: Lane[] = [];
    for (const lane of this.lanes) {
      const stuck = lane.blockedSince + this.#writeStallMs <= now;
      if (stuck) lane.blockedSince = NEVER;
      if (lane.handleTimeout(now) === "error" || stuck) dead.push(lane);
    }
    return dead;
  }

  /** The session ends: everything that still waits is given up and counted. */
  close(out: Uint8Array[]): void {
    this.isClosed = true;
    this.#restartSequence(out);
    this.#outbound.close();
  }

  /** Before the first hello_ack nobody knows. */
  get #mayHaveChannels(): boolean {
    return this.caps?.includes(CAP_CHANNEL) ?? true;
  }

  #acceptChannel(now: Instant, channel: number, datagram: Uint8Array): undefined {
    this.lastDataAt = now;
    this.#channelsIn.inPackets++;
    this.#channelsIn.inBytes += datagram.length;
    this.arrivals.push({ channel, datagram });
  }

  #restartSequence(out: Uint8Array[]): void {
    this.#inbound.restart(out);
    this.#outbound.restartNumbers();
  }
}
