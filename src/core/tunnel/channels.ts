import type { Instant } from "../time.ts";
import { HEADER_BYTES, MAX_PAYLOAD_BYTES, PREFIX_BYTES } from "../wire/pdu.ts";
import type { ChannelCounters, ChannelDropReason } from "./counters.ts";
import { Ring } from "./ring.ts";

/** Datagrams of one channel that wait; the oldest goes for the next. DESIGN "Signalling". */
export const CHANNEL_PACKETS = 512;
/** Bytes of all channels of a session that wait: the channel with the most of them gives its oldest. */
export const CHANNELS_BYTES = 8 * 1024 * 1024;
/** Channels of a session that datagrams wait for. */
export const MAX_CHANNELS = 64;

/** The largest one that fits a PDU: sealed, as the datagrams of pipes are, it holds 65,500 bytes of theirs. */
export const MAX_CHANNEL_DATAGRAM_BYTES = MAX_PAYLOAD_BYTES - PREFIX_BYTES;

/** What `turn` answers when it is the tunnel's: channel numbers begin at 1. */
export const TUNNEL = 0;

/** Bytes on the lane that each flow may send before the next one's turn: little more than one full datagram. */
const QUANTUM_BYTES = 2 * 1024;

/** A datagram of a pipe between two peers. `channel` is the server's number of the pipe's end on these lanes. */
export interface ChannelDatagram {
  readonly channel: number;
  readonly datagram: Uint8Array;
}

/** One flow of the round robin. The tunnel takes part in it with a ring that stays empty. */
interface Flow {
  readonly channel: number;
  readonly ring: Ring;
  /** Bytes that it may still send in this turn. */
  deficit: number;
  /** It stands in the round. */
  isWaiting: boolean;
  /** It has been given its quantum for this turn. */
  isServed: boolean;
}

/**
 * The datagrams of a session's channels that no lane has taken yet, a queue for each, and whose turn it is: deficit
 * round robin (Shreedhar and Varghese, 1996) among the channels and the tunnel's own queue, by bytes, so that none of
 * them starves another however much it has to send.
 *
 * Queues are made when they are needed and kept while there is room, so nobody has to announce a channel.
 */
export class ChannelQueues {
  packets = 0;
  bytes = 0;
  readonly #flows = new Map<number, Flow>();
  readonly #tunnel = newFlow(TUNNEL, 1);
  /** Those that wait, the one whose turn it is first. */
  readonly #round: Flow[] = [];
  readonly #counters: ChannelCounters;

  constructor(counters: ChannelCounters) {
    this.#counters = counters;
  }

  packetsOf(channel: number): number {
    return this.#flows.get(channel)?.ring.count ?? 0;
  }

  /** Milliseconds that the datagram that waits longest has waited; 0 when empty. */
  oldestMs(now: Instant): number {
    let oldest = now;
    for (const { ring } of this.#flows.values()) if (ring.count > 0) oldest = Math.min(oldest, ring.oldestAt());
    return now - oldest;
  }

  /** Keeps a reference to `datagram`. Returns how many older ones had to go, or -1 if it was not taken. */
  push(now: Instant, channel: number, datagram: Uint8Array): number {
    this.#counters.inPackets++;
    this.#counters.inBytes += datagram.length;
    if (datagram.length > MAX_CHANNEL_DATAGRAM_BYTES) return this.#refuse("too_large");
    const flow = this.#flows.get(channel) ?? this.#create(channel);
    if (flow === undefined) return this.#refuse("too_many");
    let dropped = 0;
    if (flow.ring.count === CHANNEL_PACKETS) dropped += this.#drop(flow, "oldest");
    while (this.bytes > 0 && this.bytes + datagram.length > CHANNELS_BYTES)
      dropped += this.#drop(this.#largest(), "oldest");
    flow.ring.push(now, datagram);
    this.packets++;
    this.bytes += datagram.length;
    this.#join(flow);
    return dropped;
  }

  /**
   * Whose datagram leaves next: a channel's, or `TUNNEL`'s, if a datagram of `tunnelBytes` waits there (-1: none).
   * Undefined: nobody's. The caller takes it with `shift`, or calls `spend` for the tunnel's, or asks again later.
   */
  turn(tunnelBytes: number): number | undefined {
    if (tunnelBytes >= 0) this.#join(this.#tunnel);
    for (;;) {
      const flow = this.#round[0];
      if (flow === undefined) return undefined;
      const length = flow === this.#tunnel ? tunnelBytes : (flow.ring.peek()?.length ?? -1);
      if (length < 0) {
        this.#leave(flow);
        continue;
      }
      if (!flow.isServed) flow.deficit += QUANTUM_BYTES;
      flow.isServed = true;
      if (wireBytes(length) <= flow.deficit) return flow.channel;
      flow.isServed = false;
      this.#round.shift();
      this.#round.push(flow);
    }
  }

  /** The tunnel, whose turn it is, has sent a datagram of `length`. */
  spend(length: number): void {
    this.#tunnel.deficit -= wireBytes(length);
  }

  /** The datagram of `channel` that leaves next. */
  peek(channel: number): Uint8Array | undefined {
    return this.#flows.get(channel)?.ring.peek();
  }

  /** Take what `peek` shows, onto a lane. */
  shift(channel: number): void {
    const flow = this.#flows.get(channel);
    const datagram = flow?.ring.peek();
    if (flow === undefined || datagram === undefined) return;
    this.#remove(flow, datagram);
    flow.deficit -= wireBytes(datagram.length);
    this.#counters.outPackets++;
    this.#counters.outBytes += datagram.length;
  }

  /** Drop what was queued before `oldest`, of one channel if one is named; returns how many. */
  dropOlderThan(oldest: Instant, reason: ChannelDropReason, channel?: number): number {
    let dropped = 0;
    for (const flow of this.#flows.values()) {
      if (channel !== undefined && flow.channel !== channel) continue;
      while (flow.ring.count > 0 && flow.ring.oldestAt() < oldest) dropped += this.#drop(flow, reason);
    }
    return dropped;
  }

  #refuse(reason: ChannelDropReason): -1 {
    this.#counters.drops[reason]++;
    return -1;
  }

  /** A queue for `channel`, in the place of an empty one if there are as many as there may be. */
  #create(channel: number): Flow | undefined {
    if (this.#flows.size >= MAX_CHANNELS) {
      const idle = this.#flows.values().find(({ ring }) => ring.count === 0);
      if (idle === undefined) return undefined;
      this.#leave(idle);
      this.#flows.delete(idle.channel);
    }
    const flow = newFlow(channel, CHANNEL_PACKETS);
    this.#flows.set(channel, flow);
    return flow;
  }

  #largest(): Flow {
    let largest = this.#tunnel;
    for (const flow of this.#flows.values()) if (flow.ring.bytes > largest.ring.bytes) largest = flow;
    return largest;
  }

  /** Behind all others, with nothing saved up. */
  #join(flow: Flow): void {
    if (flow.isWaiting) return;
    flow.isWaiting = true;
    this.#round.push(flow);
  }

  #leave(flow: Flow): void {
    if (!flow.isWaiting) return;
    flow.isWaiting = false;
    flow.isServed = false;
    flow.deficit = 0;
    this.#round.splice(this.#round.indexOf(flow), 1);
  }

  #remove(flow: Flow, datagram: Uint8Array): void {
    flow.ring.shift();
    this.packets--;
    this.bytes -= datagram.length;
  }

  #drop(flow: Flow, reason: ChannelDropReason): number {
    const datagram = flow.ring.peek();
    if (datagram === undefined) return 0;
    this.#remove(flow, datagram);
    this.#counters.drops[reason]++;
    return 1;
  }
}

function newFlow(channel: number, capacity: number): Flow {
  return { channel, ring: new Ring(capacity), deficit: 0, isWaiting: false, isServed: false };
}

function wireBytes(length: number): number {
  return HEADER_BYTES + PREFIX_BYTES + length;
}
