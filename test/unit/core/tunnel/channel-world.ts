import { ChannelSwitch } from "../../../../src/core/tunnel/channel-switch.ts";
import { TunnelCounters } from "../../../../src/core/tunnel/counters.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { Session, type SessionOptions } from "../../../../src/core/tunnel/session.ts";
import { SessionTable } from "../../../../src/core/tunnel/session-table.ts";
import { SUPPORTED_CAPS } from "../../../../src/core/wire/control.ts";
import { PduDecoder } from "../../../../src/core/wire/pdu.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import type { Random } from "../../../random.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";

/** One direction of a connection: the bytes that the sender's socket took, and how many of them arrived. */
interface Wire {
  readonly from: Lane;
  readonly to: Lane;
  readonly bytes: number[];
  arrived: number;
}

interface Link {
  readonly peer: Peer;
  readonly up: Wire;
  readonly down: Wire;
  /** Bytes still pass. */
  isUp: boolean;
  clientKnows: boolean;
  serverKnows: boolean;
}

/** What became of the datagrams that were offered for one end of a pipe. */
export interface Book {
  offered: number;
  readonly delivered: Set<number>;
  /** Taken whole by a socket whose connection then broke: nobody can know of them. */
  lostOnWires: number;
}

interface Peer {
  readonly cn: string;
  readonly sessionId: string;
  readonly session: Session;
  readonly counters: TunnelCounters;
}

/**
 * Two peers' sessions, a server's table and switch, pipes between the peers, and wires that pass bytes in any split
 * until they are cut. What became of each datagram is known from the wires alone. Numbers on the wire are unique.
 */
export class ChannelWorld {
  now = 0;
  readonly links: Link[] = [];
  readonly peers: readonly Peer[];
  readonly table: SessionTable;
  readonly exchange: ChannelSwitch;
  /** By the channel that the sender knows. */
  readonly books = new Map<number, Book>();
  readonly #random: Random;
  /** The other end's number of each channel. */
  readonly #other = new Map<number, number>();
  #next = 0;

  constructor(random: Random, pipes: number, settings: Partial<SessionOptions> = {}) {
    this.#random = random;
    const session = { ...SESSION_SETTINGS, ...settings };
    this.peers = ["home", "office"].map((cn, i) => {
      const sessionId = `6a0c2b1e-0000-4000-8000-00000000000${i}`;
      const counters = new TunnelCounters();
      const options = { ...session, clientCn: cn, sessionId, outbound: "up" } as const;
      return { cn, sessionId, counters, session: new Session(options, counters, 0) };
    });
    this.table = new SessionTable({ session, lingerMs: 600_000, randomU32: () => random.below(2 ** 32) });
    this.exchange = new ChannelSwitch({
      sessionOf: (now, cn, sessionId) => this.table.reach(now, cn, sessionId, [])?.session,
    });
    for (let pipe = 1; pipe <= pipes; pipe++) this.#openPipe(pipe);
  }

  /** Channels that `peer` (0 or 1) knows: its ends of all pipes. */
  channelsOf(peer: number): number[] {
    return [...this.books.keys()].filter((channel) => channel % 2 === peer);
  }

  closePipe(channel: number): void {
    const ends = [channel, this.#other.get(channel) ?? 0].map((end) => this.#end(end));
    this.exchange.close(ends);
    for (const { channel: end } of ends) this.#peerOf(end).session.closeChannel(end);
  }

  /** The peer that knows `channel` sends a datagram on it. */
  offer(channel: number, length: number): void {
    const book = this.books.get(channel) as Book;
    book.offered++;
    this.#peerOf(channel).session.offerChannel(this.now, channel, numbered(this.#number(channel), length));
  }

  offerTunnel(peer: number, length: number): void {
    this.peers[peer]?.session.offer(this.now, numbered(0, length));
  }

  open(peer: number, id: number): void {
    const { session, sessionId, cn } = this.peers[peer] as Peer;
    if (session.lanes.some((lane) => lane.id === id)) return;
    const client = new Lane(id);
    const server = new Lane(-1);
    const hello = { type: "hello", kind: "lane", session_id: sessionId, lane_id: id, node: "" } as const;
    const link: Link = {
      peer: this.peers[peer] as Peer,
      up: { from: client, to: server, bytes: [], arrived: 0 },
      down: { from: server, to: client, bytes: [], arrived: 0 },
      isUp: true,
      clientKnows: false,
      serverKnows: false,
    };
    this.links.push(link);
    session.attach(this.now, client);
    // Its HELLO is taken to be there at once, and only the answer travels.
    const joined = this.table.join(this.now, server, cn, { ...hello, caps: [...SUPPORTED_CAPS] }, []);
    if (!joined.ok) throw new Error(joined.kind);
    const { replaced } = joined;
    const old = this.links.find(({ up }) => up.to === replaced);
    if (old !== undefined) this.notice(old, "server");
  }

  /** All sessions fill lanes and sockets take of them what they like, all if told so. */
  pump(all = false): void {
    for (const session of [...this.peers.map((peer) => peer.session), ...this.table.sessions])
      for (let lane = session.nextBatch(this.now); lane !== undefined; lane = session.nextBatch(this.now))
        this.#flush(lane, all);
  }

  /** The sockets of both ends accept again, where they have not noticed that nothing passes any more. */
  drain(link: Link, all = false): void {
    for (const { from } of [link.up, link.down]) {
      if (from === link.up.from ? link.clientKnows : link.serverKnows) continue;
      from.writable = true;
      this.#flush(from, all);
    }
  }

  deliver(link: Link, bytes = Number.POSITIVE_INFINITY): void {
    if (!link.isUp) return;
    for (const wire of [link.up, link.down]) {
      const chunk = Uint8Array.from(wire.bytes.slice(wire.arrived, wire.arrived + bytes));
      wire.arrived += chunk.length;
      wire.to.feed(chunk);
      this.#receive(wire.to);
    }
  }

  /** The connection breaks, if it has not yet, and one end learns of it. */
  notice(link: Link, side: "client" | "server"): void {
    link.isUp = false;
    if (side === "client" ? link.clientKnows : link.serverKnows) return;
    if (side === "client") link.clientKnows = true;
    else link.serverKnows = true;
    const lane = side === "client" ? link.up.from : link.up.to;
    const { session } = lane;
    session?.detach(this.now, lane, []);
    if (side === "server" && session !== undefined) this.table.left(this.now, session);
    if (!link.clientKnows || !link.serverKnows) return;
    for (const wire of [link.up, link.down]) this.#bookLosses(wire);
    this.links.splice(this.links.indexOf(link), 1);
  }

  /** Everybody knows what broke, all lanes come back, everything that is on its way arrives. */
  calm(): void {
    for (const link of [...this.links])
      if (!link.isUp) for (const side of ["client", "server"] as const) this.notice(link, side);
    for (const peer of [0, 1]) for (let id = 0; id < 3; id++) this.open(peer, id);
    for (let moved = -1; moved !== this.#moved(); ) {
      moved = this.#moved();
      this.pump(true);
      for (const link of this.links) {
        this.drain(link, true);
        this.deliver(link);
      }
    }
  }

  /** Of all nodes together; datagrams of channels alone. */
  get dropped(): number {
    const counters = this.peers.flatMap(({ cn, counters }) => [counters, this.table.countersOf(cn)]);
    const drops = counters.flatMap(({ channels }) => [channels.up.drops, channels.down.drops]);
    return drops.flatMap((each) => Object.values(each)).reduce((sum, count) => sum + count, 0);
  }

  get queued(): number {
    const sessions = [...this.peers.map((peer) => peer.session), ...this.table.sessions];
    return sessions.reduce((sum, session) => sum + session.queuedChannelPackets, 0);
  }

  #openPipe(pipe: number): void {
    const ends = [this.#end(pipe * 2), this.#end(pipe * 2 + 1)] as const;
    this.exchange.open(ends);
    for (const { channel } of ends) {
      this.books.set(channel, { offered: 0, delivered: new Set(), lostOnWires: 0 });
      this.#other.set(channel, channel ^ 1);
    }
  }

  #peerOf(channel: number): Peer {
    return this.peers[channel % 2] as Peer;
  }

  #end(channel: number) {
    const { cn, sessionId } = this.#peerOf(channel);
    return { cn, sessionId, channel };
  }

  /** Unique in the world, and says who sent it: a channel below 100 in the last two digits. */
  #number(channel: number): number {
    return ++this.#next * 100 + channel;
  }

  #flush(lane: Lane, all: boolean): void {
    const wire = this.links.flatMap(({ up, down }) => [up, down]).find(({ from }) => from === lane);
    const wanted = lane.pendingBytes;
    if (wire === undefined || !lane.writable || wanted === 0) return;
    const taken = all || !this.#random.oneIn(3) ? wanted : this.#random.below(wanted + 1);
    for (let i = 0; i < taken; i++) wire.bytes.push(lane.outbox[lane.start + i] as number);
    lane.wrote(this.now, taken);
  }

  #receive(lane: Lane): void {
    const session = lane.session as Session;
    for (;;) {
      const stopped = session.receive(this.now, lane, []);
      this.#take(session);
      if (stopped === "need-more") return;
      const { message } = lane;
      if (stopped !== "control" || message?.type !== "hello_ack") throw new Error(`a lane broke: ${stopped}`);
      session.acknowledge(lane, message.epoch, message.caps, []);
    }
  }

  #take(session: Session): void {
    const peer = this.peers.find((each) => each.session === session);
    for (const { channel, datagram } of session.arrivals) {
      if (peer === undefined) this.exchange.route(this.now, session, channel, datagram);
      else this.#deliveredTo(peer, channel, datagram);
    }
    session.arrivals.length = 0;
  }

  #deliveredTo(peer: Peer, channel: number, datagram: Uint8Array): void {
    const number = numberOf(datagram);
    const from = number % 100;
    const { delivered } = this.books.get(from) as Book;
    const same = Buffer.compare(datagram, numbered(number, datagram.length)) === 0;
    if (!same || channel !== this.#other.get(from) || this.#peerOf(channel) !== peer || delivered.has(number))
      throw new Error(`channel ${channel} of ${peer.cn} got ${number}, changed, astray or twice`);
    delivered.add(number);
  }

  #bookLosses({ bytes, arrived }: Wire): void {
    const decoder = new PduDecoder({ maxCtrlBytes: 65_535 });
    decoder.feed(Uint8Array.from(bytes));
    let end = 0;
    while (decoder.next() === "pdu") {
      end += 9 + (decoder.flags === 0 ? 0 : 4) + decoder.payload.length;
      if (decoder.channel < 0 || end <= arrived) continue;
      const book = this.books.get(numberOf(decoder.payload) % 100) as Book;
      book.lostOnWires++;
    }
  }

  #moved(): number {
    return this.links.reduce((sum, { up, down }) => sum + up.arrived + down.arrived + up.bytes.length, this.queued);
  }
}
