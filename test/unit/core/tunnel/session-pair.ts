import type { Direction, DropReason } from "../../../../src/core/tunnel/counters.ts";
import { TunnelCounters } from "../../../../src/core/tunnel/counters.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { Session, type SessionOptions } from "../../../../src/core/tunnel/session.ts";
import { SessionTable } from "../../../../src/core/tunnel/session-table.ts";
import { SUPPORTED_CAPS } from "../../../../src/core/wire/control.ts";
import { PduDecoder, TYPE_DATA } from "../../../../src/core/wire/pdu.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import type { Random } from "../../../random.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";

const SESSION_ID = "6a0c2b1e-3f4d-4a5b-8c6d-7e8f90a1b2c3";

/** One end of a lane: its machine, what its socket took, and how much of what the other took has arrived here. */
interface End {
  readonly lane: Lane;
  readonly direction: Direction;
  readonly sent: number[];
  arrived: number;
  /** This end knows that the connection is gone. */
  gone: boolean;
}

/** A lane with both ends and the wires between. */
export interface Link {
  readonly id: number;
  readonly client: End;
  readonly server: End;
  /** Bytes still pass. */
  up: boolean;
}

/**
 * A client's session and a server's session table, joined by lanes whose bytes pass in any split, in any order between
 * lanes, until somebody cuts them. It does what the shells do (greet, flush, answer GOODBYE) and keeps its own books:
 * each datagram has a number, and what became of it is known from the wires alone.
 */
export class SessionPair {
  now = 0;
  readonly links: Link[] = [];
  readonly client: Session;
  readonly table: SessionTable;
  readonly clientCounters = new TunnelCounters();
  /** Numbers of the datagrams that left at the far end, in order. */
  readonly delivered: Record<Direction, number[]> = { up: [], down: [] };
  /** Without a sequence number, taken whole by a socket whose connection then broke: a loss that nobody can know of. */
  readonly lostPlain: Record<Direction, number> = { up: 0, down: 0 };
  readonly #random: Random;
  readonly #offered: Record<Direction, number> = { up: 0, down: 0 };
  readonly #seen: Record<Direction, Set<number>> = { up: new Set(), down: new Set() };

  constructor(random: Random, settings: Partial<SessionOptions> = {}) {
    this.#random = random;
    const session = { ...SESSION_SETTINGS, ...settings };
    this.client = new Session(
      { ...session, clientCn: "home", sessionId: SESSION_ID, outbound: "up" },
      this.clientCounters,
      0,
    );
    this.table = new SessionTable({ session, lingerMs: 600_000, randomU32: () => random.below(2 ** 32) });
  }

  get server(): Session | undefined {
    return this.table.sessions[0];
  }

  session(direction: Direction): Session | undefined {
    return direction === "up" ? this.client : this.server;
  }

  /** A datagram enters at the sending end of `direction`; a server without a session has no socket for it. */
  offer(direction: Direction, length = 8): void {
    if (this.session(direction) === undefined) return;
    this.session(direction)?.offer(this.now, numbered(++this.#offered[direction], length));
  }

  /** Move what waits into lanes and sockets, as far as they take it. */
  pump(direction: Direction): void {
    const session = this.session(direction);
    if (session === undefined) return;
    for (let lane = session.nextBatch(this.now); lane !== undefined; lane = session.nextBatch(this.now))
      this.flush(this.#endOf(lane));
  }

  /** The client dials lane `id`. */
  open(id: number): Link {
    const link: Link = {
      id,
      up: true,
      client: { lane: new Lane(id), direction: "up", sent: [], arrived: 0, gone: false },
      server: { lane: new Lane(-1), direction: "down", sent: [], arrived: 0, gone: false },
    };
    this.links.push(link);
    link.client.lane.putControl({
      type: "hello",
      kind: "lane",
      session_id: SESSION_ID,
      lane_id: id,
      node: "test",
      caps: [...SUPPORTED_CAPS],
    });
    this.client.attach(this.now, link.client.lane);
    this.flush(link.client);
    return link;
  }

  /** The socket of `end` takes what it likes of the outbox; `all` of it if told so. */
  flush(end: End, all = false): void {
    const { lane } = end;
    if (!lane.writable || lane.pendingBytes === 0) return;
    const wanted = lane.pendingBytes;
    const taken = all || !this.#random.oneIn(3) ? wanted : this.#random.below(wanted + 1);
    for (let i = 0; i < taken; i++) end.sent.push(lane.outbox[lane.start + i] as number);
    lane.wrote(this.now, taken);
  }

  /** The socket of `end` accepts again. */
  drain(end: End, all = false): void {
    end.lane.writable = true;
    this.flush(end, all);
  }

  /** Up to `bytes` of what the sender's socket took arrive at `to`. */
  deliver(link: Link, to: "client" | "server", bytes = Number.POSITIVE_INFINITY): void {
    const end = link[to];
    const from = link[to === "client" ? "server" : "client"];
    if (!link.up || end.gone) return;
    const chunk = Uint8Array.from(from.sent.slice(end.arrived, end.arrived + bytes));
    if (chunk.length === 0) return;
    end.arrived += chunk.length;
    end.lane.feed(chunk);
    const out: Uint8Array[] = [];
    if (to === "server" && end.lane.session === undefined) this.#greet(end, out);
    this.#receive(link, end, out);
    this.#leave(from.direction, out);
  }

  /** The connection breaks now; each end notices when `notice` is called for it. */
  cut(link: Link): void {
    link.up = false;
  }

  /** `end` learns that its connection is gone. */
  notice(link: Link, which: "client" | "server"): void {
    const end = link[which];
    if (end.gone) return;
    link.up = false;
    end.gone = true;
    this.#bookLosses(end, link[which === "client" ? "server" : "client"].lane);
    const session = end.lane.session;
    const out: Uint8Array[] = [];
    session?.detach(this.now, end.lane, out);
    if (which === "server" && session !== undefined) this.table.left(this.now, session);
    this.#leave(end.direction === "up" ? "down" : "up", out);
  }

  /** Timers of both ends; lanes that they find dead break. */
  timeouts(): void {
    for (const direction of ["up", "down"] as const) {
      const session = this.session(direction);
      if (session === undefined) continue;
      const out: Uint8Array[] = [];
      const dead = session.handleTimeout(this.now, out);
      this.#leave(direction === "up" ? "down" : "up", out);
      for (const lane of dead) {
        const link = this.links.find(({ client, server }) => client.lane === lane || server.lane === lane);
        if (link !== undefined) this.cutBoth(link);
      }
    }
  }

  cutBoth(link: Link): void {
    this.notice(link, "client");
    this.notice(link, "server");
  }

  /** Everything that is on its way arrives, as long as something moves. */
  settle(): void {
    for (let moved = -1; moved !== this.#progress(); ) {
      moved = this.#progress();
      for (const link of this.links.filter(({ up }) => up)) {
        for (const which of ["client", "server"] as const) {
          this.drain(link[which], true);
          this.deliver(link, which);
        }
      }
      this.pump("up");
      this.pump("down");
    }
  }

  /**
   * What `direction` makes of the sum that must hold: everything that came in has left, was dropped, still waits, or
   * was lost without a number on a broken lane, which nobody can know of.
   */
  balance(direction: Direction): { in: number; accounted: number; drops: Partial<Record<DropReason, number>> } {
    const sender = this.session(direction);
    const drops = { ...this.clientCounters[direction].drops };
    for (const [reason, count] of Object.entries(this.table.countersOf("home")[direction].drops))
      drops[reason as DropReason] += count;
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
    return {
      in: this.#offered[direction],
      accounted: this.delivered[direction].length + dropped + (sender?.unsentPackets ?? 0) + this.lostPlain[direction],
      drops: Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0)),
    };
  }

  #endOf(lane: Lane): End {
    for (const { client, server } of this.links) {
      if (client.lane === lane) return client;
      if (server.lane === lane) return server;
    }
    throw new Error(`no link has lane ${lane.id}`);
  }

  /** The server's first look at a lane. */
  #greet(end: End, out: Uint8Array[]): void {
    if (end.lane.next(this.now) !== "control" || end.lane.message?.type !== "hello") return;
    const joined = this.table.join(this.now, end.lane, "home", end.lane.message, out);
    if (!joined.ok) throw new Error(`the server refused a lane: ${joined.kind}`);
    const { replaced } = joined;
    const old = this.links.find(({ server }) => server.lane === replaced);
    if (old !== undefined) this.notice(old, "server");
    this.flush(end);
  }

  #receive(link: Link, end: End, out: Uint8Array[]): void {
    const session = end.lane.session;
    if (session === undefined) return;
    for (;;) {
      const stopped = session.receive(this.now, end.lane, out);
      if (stopped === "need-more") return;
      if (stopped !== "control") throw new Error(`lane ${link.id} broke its protocol: ${stopped}`);
      const message = end.lane.message;
      if (message?.type === "hello_ack") {
        const before = session.epoch;
        session.acknowledge(end.lane, message.epoch, message.caps, out);
        // As the client does: lanes of a session that the server has forgotten are dropped.
        if (before !== session.epoch)
          for (const other of this.links)
            if (other.client.lane.greeted && other.client.lane.epoch === before) this.notice(other, "client");
      } else if (message?.type === "goodbye") this.#answerGoodbye(link, end);
    }
  }

  #answerGoodbye(link: Link, end: End): void {
    end.lane.heardGoodbye = true;
    end.lane.sayGoodbye("answer");
    this.drain(end, true);
    if (end.lane.finished && link.client.lane.finished) this.cutBoth(link);
  }

  /** What the socket of `end` took whole and the other end never saw is lost now, and numbers would tell. */
  #bookLosses(end: End, receiver: Lane): void {
    const decoder = new PduDecoder({ maxCtrlBytes: 65_535 });
    decoder.feed(Uint8Array.from(end.sent));
    let data = 0;
    while (decoder.next() === "pdu") {
      if (decoder.type === TYPE_DATA && ++data > receiver.packetsIn && decoder.seq < 0) this.lostPlain[end.direction]++;
    }
  }

  #leave(direction: Direction, out: readonly Uint8Array[]): void {
    for (const datagram of out) {
      const number = numberOf(datagram);
      if (this.#seen[direction].has(number)) throw new Error(`${direction} ${number} was delivered twice`);
      if (datagram.some((byte, i) => i >= 4 && byte !== (number & 0xff)))
        throw new Error(`${direction} ${number} changed`);
      this.#seen[direction].add(number);
      this.delivered[direction].push(number);
    }
  }

  #progress(): number {
    const moved = ({ sent, arrived }: End) => sent.length + arrived;
    return this.links.reduce((sum, { client, server }) => sum + moved(client) + moved(server), 0);
  }
}
