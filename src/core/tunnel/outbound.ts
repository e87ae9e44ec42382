import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { HEADER_BYTES, MAX_PAYLOAD_BYTES, PREFIX_BYTES } from "../wire/pdu.ts";
import { ChannelQueues, TUNNEL } from "./channels.ts";
import type { DelayHistogram, Direction, DirectionCounters, TunnelCounters } from "./counters.ts";
import type { Lane, Orphan } from "./lane.ts";
import { Orphanage } from "./orphanage.ts";
import { Queue, type QueueLimits } from "./queue.ts";
import { type Pick, Scheduler } from "./scheduler.ts";
import { serialNext } from "./serial.ts";

/** What has waited longer when lanes return is stale: WireGuard has long sent something newer. */
export const STALE_MS = 5_000;

/** What a lane takes even when its window is full, so that an acknowledgement finds something to send: two segments. */
const MIN_BATCH_BYTES = 4 * 1024;

interface OutboundOptions {
  readonly outbound: Direction;
  readonly queue: QueueLimits;
  readonly pick: Pick;
  readonly batchBytes: number;
}

/**
 * The sending half of a session: what waits (the tunnel's queue, those of channels, what broken lanes left behind) and
 * which of it goes next on which lane.
 */
export class Outbound {
  readonly queue: Queue;
  readonly channels: ChannelQueues;
  readonly orphans: Orphanage;
  /** The key of `tcp.pick: hash` for what is not WireGuard. */
  sourcePort = 0;
  readonly #lanes: readonly Lane[];
  readonly #batchBytes: number;
  readonly #scheduler: Scheduler;
  readonly #counters: DirectionCounters;
  readonly #delay: DelayHistogram;
  #nextSeq = 0;

  /** `lanes` are the session's live ones, seen as they are at each call. */
  constructor(lanes: readonly Lane[], options: OutboundOptions, counters: TunnelCounters) {
    this.#lanes = lanes;
    this.#batchBytes = options.batchBytes;
    this.#scheduler = new Scheduler(options.pick);
    this.#counters = counters[options.outbound];
    this.#delay = counters.queueDelay;
    const channels = counters.channels[options.outbound];
    this.queue = new Queue(options.queue, this.#counters);
    this.channels = new ChannelQueues(channels);
    this.orphans = new Orphanage(this.#counters, channels);
  }

  /** One datagram of the tunnel. Returns how many older ones had to go, or -1 if it was too large. */
  push(now: Instant, datagram: Uint8Array): number {
    this.#counters.inPackets++;
    this.#counters.inBytes += datagram.length;
    if (datagram.length <= MAX_PAYLOAD_BYTES - PREFIX_BYTES) return this.queue.push(now, datagram);
    this.#counters.drops.too_large++;
    return -1;
  }

  /** Fill the outbox of the lane whose turn it is. Undefined: nothing waits, or no lane can take more now. */
  nextBatch(now: Instant, epoch: number): Lane | undefined {
    if (this.orphans.packets > 0) {
      const lane = this.#orphanBatch(now, epoch);
      if (lane !== undefined) return lane;
    }
    const head = this.queue.peek(now);
    if (head === undefined) return this.channels.packets === 0 ? undefined : this.#channelBatch(now);
    const lane = this.#scheduler.pick(this.#lanes, head, this.sourcePort);
    if (lane === undefined) return undefined;
    if (this.channels.packets > 0 && lane.channelled) this.#sharedBatch(now, lane);
    else this.#tunnelBatch(now, lane);
    return lane;
  }

  dropStale(now: Instant): void {
    const oldest = now - STALE_MS;
    this.queue.dropOlderThan(oldest, "stale");
    this.channels.dropOlderThan(oldest, "stale");
    this.orphans.dropOlderThan(oldest);
  }

  /**
   * What waits goes to another server's session. A datagram whose number this server may miss is counted as lost there,
   * though it arrives over the other one.
   */
  moveTo(now: Instant, other: Outbound): void {
    this.dropStale(now);
    this.channels.dropOlderThan(NEVER, "closed");
    this.orphans.moveTo(other.orphans);
    this.queue.moveTo(other.queue);
  }

  /** A new epoch: numbers start again at zero, and those that were given out mean nothing any more. */
  restartNumbers(): void {
    this.#nextSeq = 0;
    this.orphans.forgetNumbers();
  }

  /** Everything that still waits is given up and counted. */
  close(): void {
    this.queue.dropOlderThan(NEVER, "closed");
    this.channels.dropOlderThan(NEVER, "closed");
    this.orphans.clear();
  }

  /** As much of the tunnel's queue as `lane` takes at a time. */
  #tunnelBatch(now: Instant, lane: Lane): void {
    const budget = this.#budget(lane);
    let first: Uint8Array | undefined;
    for (;;) {
      this.queue.thin(now);
      const datagram = this.queue.peek(now);
      if (datagram === undefined) break;
      first ??= datagram;
      if (!this.#scheduler.together(this.#lanes, first, datagram, this.sourcePort)) break;
      if (isFull(lane, datagram, budget)) break;
      this.#putTunnel(now, lane, datagram);
    }
  }

  /** Tunnel and channels in fair turns. */
  #sharedBatch(now: Instant, lane: Lane): void {
    const budget = this.#budget(lane);
    let first: Uint8Array | undefined;
    for (;;) {
      this.queue.thin(now);
      const head = this.queue.peek(now);
      const turn = this.channels.turn(head?.length ?? -1);
      const datagram = turn === TUNNEL ? head : turn === undefined ? undefined : this.channels.peek(turn);
      if (turn === undefined || datagram === undefined || isFull(lane, datagram, budget)) break;
      if (turn !== TUNNEL) this.#putChannel(lane, turn, datagram);
      else {
        first ??= datagram;
        if (!this.#scheduler.together(this.#lanes, first, datagram, this.sourcePort)) break;
        this.#putTunnel(now, lane, datagram);
        this.channels.spend(datagram.length);
      }
    }
  }

  /** The tunnel has nothing to send: channels alone. */
  #channelBatch(now: Instant): Lane | undefined {
    const able = this.#lanes.filter(({ channelled }) => channelled);
    const turn = this.channels.turn(-1);
    const head = turn === undefined ? undefined : this.channels.peek(turn);
    if (turn === undefined || head === undefined) return undefined;
    const lane = this.#scheduler.pick(able, head, turn);
    if (lane !== undefined) this.#sharedBatch(now, lane);
    return lane;
  }

  #putTunnel(now: Instant, lane: Lane, datagram: Uint8Array): void {
    this.#delay.observe(this.queue.shift(now));
    this.#counters.outPackets++;
    this.#counters.outBytes += datagram.length;
    lane.putData(datagram, lane.sequenced ? this.#takeSeq() : -1);
  }

  #putChannel(lane: Lane, channel: number, datagram: Uint8Array): void {
    this.channels.shift(channel);
    lane.putChannelData(datagram, channel);
  }

  /** What a lane takes at a time: no more than its window lets out, else the rest waits in there while others idle. */
  #budget(lane: Lane): number {
    return Math.min(this.#batchBytes, Math.max(MIN_BATCH_BYTES, lane.window));
  }

  #takeSeq(): number {
    const seq = this.#nextSeq;
    this.#nextSeq = serialNext(seq);
    return seq;
  }

  /**
   * Orphans go before all else, as they are oldest. One that has a number needs a lane of its epoch that knows numbers:
   * sent without, it would arrive, and its number would be missed all the same.
   */
  #orphanBatch(now: Instant, epoch: number): Lane | undefined {
    this.orphans.dropOlderThan(now - STALE_MS);
    const { first } = this.orphans;
    if (first === undefined) return undefined;
    const able = (orphan: Orphan) => (lane: Lane) =>
      orphan.channel >= 0 ? lane.channelled : orphan.seq < 0 || (lane.sequenced && lane.epoch === epoch);
    const lane = this.#scheduler.pick(this.#lanes.filter(able(first)), first.datagram, this.sourcePort);
    if (lane === undefined) return undefined;
    const budget = this.#budget(lane);
    for (let next = this.orphans.first; next !== undefined && lane.pendingBytes < budget; next = this.orphans.first) {
      if (!able(next)(lane)) break;
      if (next.channel >= 0) lane.putChannelData(next.datagram, next.channel);
      else lane.putData(next.datagram, next.seq);
      this.orphans.shift();
    }
    return lane;
  }
}

function isFull(lane: Lane, datagram: Uint8Array, budget: number): boolean {
  return lane.pendingBytes > 0 && lane.pendingBytes + HEADER_BYTES + PREFIX_BYTES + datagram.length > budget;
}
