import { randomInt } from "node:crypto";
import { formatAddress } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import type { UtError } from "../core/error.ts";
import { HandshakeGate } from "../core/tunnel/handshake-gate.ts";
import { Lane } from "../core/tunnel/lane.ts";
import type { Session } from "../core/tunnel/session.ts";
import { SessionTable } from "../core/tunnel/session-table.ts";
import type { NodeStatus } from "../core/tunnel/status.ts";
import type { Hello } from "../core/wire/control.ts";
import type { FrameErrorKind } from "../core/wire/pdu.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import { debounced, type Log } from "../io/log.ts";
import { type LaneListener, type ListenHandlers, listenTlsLanes } from "../io/tls-listen.ts";
import type { HandshakeFailure } from "../io/tls-verdict.ts";
import { openUdp, type UdpSocket } from "../io/udp.ts";
import type { NodeIdentity, Role, RoleContext } from "./role.ts";
import { laneTuning, sessionSettings } from "./settings.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * The server role: ends lanes and forwards each session's datagrams to the local WireGuard through a UDP socket of
 * its own, whose port stays while the session lives, so that WireGuard's endpoint does.
 */
export async function startServer(config: Config, identity: NodeIdentity, context: RoleContext): Promise<Role> {
  return new Server(config, identity, context);
}

/** A session with its sockets. Datagrams that arrive before its UDP socket is open wait in `early`. */
interface Hosted {
  readonly tunnel: Tunnel;
  readonly log: Log;
  udp: UdpSocket | undefined;
  early: Uint8Array[];
  closed: boolean;
}

/** Datagrams of a new session that may wait for its UDP socket; the socket opens within a millisecond. */
const EARLY_PACKETS = 1_024;

class Server implements Role {
  readonly #config: Config;
  readonly #identity: NodeIdentity;
  readonly #context: RoleContext;
  readonly #log: Log;
  readonly #refusals: Log;
  readonly #table: SessionTable;
  readonly #hosted = new Map<Session, Hosted>();
  readonly #listener: LaneListener;
  readonly #handshakeFailures = new Map<string, number>();
  /** Authenticated, but their first PDU has not come: bounded for each CN. */
  readonly #greeting = new HandshakeGate<LaneTransport>();
  #expiryTimer: Timer | undefined;
  #stopping = false;

  constructor(config: Config, identity: NodeIdentity, context: RoleContext) {
    this.#config = config;
    this.#identity = identity;
    this.#context = context;
    this.#log = context.log;
    this.#refusals = debounced(context.log, 1_000, now);
    this.#table = new SessionTable({
      session: sessionSettings(config),
      lingerMs: config.tcp.session_linger_seconds * 1_000,
      randomU32: () => randomInt(2 ** 32),
    });
    const { host, port } = config.tcp.listen_addr;
    this.#listener = listenTlsLanes(
      { host, port, identity, denyCn: config.tls.deny_cn },
      {
        accept: (transport, handshakeMs) => this.#accept(transport, handshakeMs),
        refused: (reason, remote, detail) => this.#refused(reason, remote, detail),
      },
    );
  }

  get port(): number {
    return this.#listener.port;
  }

  status(): NodeStatus {
    return {
      role: "server",
      cn: this.#identity.cn,
      certificateNotAfter: this.#identity.notAfter.toISOString(),
      ready: !this.#stopping,
      notReadyReason: this.#stopping ? "the node is stopping" : undefined,
      listen: formatAddress({ host: this.#listener.host, port: this.#listener.port }),
      sessions: [...this.#hosted.values()].map((hosted) =>
        hosted.tunnel.status(hosted.udp === undefined ? "" : `${hosted.udp.host}:${hosted.udp.port}`),
      ),
      clients: this.#table.counters,
      tlsHandshakeFailures: this.#handshakeFailures,
    };
  }

  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#listener.stop();
    await Promise.all([...this.#hosted.values()].map((hosted) => hosted.tunnel.drain("shutdown", deadline)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#expiryTimer);
    this.#listener[Symbol.dispose]();
    for (const session of this.#table.sessions) {
      this.#table.remove(session, []);
      this.#dispose(session);
    }
  }

  #accept(transport: LaneTransport, handshakeMs: number): ReturnType<ListenHandlers["accept"]> {
    const cn = transport.peerCn;
    const lane = new Lane(-1);
    let hosted: Hosted | undefined;
    this.#context.handshakeDone(cn, handshakeMs);
    this.#table.countersOf(cn);
    for (const crowded of this.#greeting.enter(transport, cn)) crowded.terminate();
    return {
      data: (chunk) => {
        if (hosted !== undefined) hosted.tunnel.received(lane, chunk);
        else if (lane.error === undefined) hosted = this.#greet(lane, transport, chunk);
      },
      drained: () => hosted?.tunnel.drained(lane),
      closed: (error) => {
        this.#greeting.leave(transport);
        if (hosted !== undefined) hosted.tunnel.closed(lane, error);
        else
          this.#log.info("lane_close", { client_cn: cn, remote: transport.remote, err: error, hint: "no HELLO came" });
      },
    };
  }

  /** The first PDU says which session the lane belongs to. */
  #greet(lane: Lane, transport: LaneTransport, chunk: Uint8Array): Hosted | undefined {
    lane.feed(chunk);
    const time = now();
    const event = lane.next(time);
    if (event === "need-more") return undefined;
    if (event === "error") return this.#refuseLane(lane, transport, lane.error ?? "bad_magic");
    let hello: Hello | undefined;
    if (event === "control") {
      if (lane.message?.type !== "hello") return this.#refuseLane(lane, transport, "bad_hello");
      hello = lane.message;
    } else if (lane.decoder.flags !== 0) return this.#refuseLane(lane, transport, "bad_flags");

    const out: Uint8Array[] = [];
    const joined = this.#table.join(time, lane, transport.peerCn, hello, out);
    if (!joined.ok) return this.#refuseLane(lane, transport, joined.kind);
    if (joined.evicted !== undefined) this.#dispose(joined.evicted);
    const hosted = this.#hosted.get(joined.session) ?? this.#host(joined.session);
    this.#greeting.leave(transport);
    hosted.log.info("lane_open", { lane_id: lane.id, remote: transport.remote, node: hello?.node });
    if (joined.replaced !== undefined) hosted.tunnel.drop(joined.replaced);
    hosted.tunnel.add(lane, transport);
    if (event === "data") {
      joined.session.acceptData(time, lane, out);
      this.#toWireGuard(hosted, out);
    }
    hosted.tunnel.resume(lane);
    return hosted;
  }

  #refuseLane(lane: Lane, transport: LaneTransport, kind: FrameErrorKind): undefined {
    lane.error = kind;
    this.#table.countersOf(transport.peerCn).frameError(kind);
    this.#refusals.warn("frame_err", { kind, client_cn: transport.peerCn, remote: transport.remote });
    lane.putControl({ type: "err", kind, message: "" });
    transport.write(lane.outbox, lane.start, lane.end);
    transport.end();
    return undefined;
  }

  #host(session: Session): Hosted {
    const log = this.#log.child({ client_cn: session.clientCn, session_id: session.sessionId });
    const tunnel = new Tunnel(
      session,
      laneTuning(this.#config),
      {
        deliver: (datagrams) => this.#toWireGuard(hosted, datagrams),
        // The one greeting of a lane was its first PDU.
        control: (_lane, message) => (message.type === "hello" ? "duplicate_hello" : "bad_ctrl"),
        laneClosed: (lane, error) => this.#laneClosed(hosted, lane, error),
      },
      debounced(log, 5_000, now),
    );
    const hosted: Hosted = { tunnel, log, udp: undefined, early: [], closed: false };
    this.#hosted.set(session, hosted);
    log.info("session_open", {});
    this.#openUdp(session, hosted).catch((error: unknown) => {
      log.error("session_udp_fail", { err: error });
      this.#table.remove(session, []);
      this.#dispose(session);
    });
    return hosted;
  }

  async #openUdp(session: Session, hosted: Hosted): Promise<void> {
    const target = this.#config.udp.wg_udp_addr;
    const { up } = session.counters;
    const udp = await openUdp({
      host: target.host.includes(":") ? "::1" : "127.0.0.1",
      port: 0,
      connect: target,
      onDatagram: (datagram) => hosted.tunnel.offer(datagram),
      onDrop: (reason, count) => {
        up.drops[reason] += count;
      },
      onSent: (count, bytes) => {
        up.outPackets += count;
        up.outBytes += bytes;
      },
    });
    if (hosted.closed) {
      udp[Symbol.dispose]();
      return;
    }
    hosted.udp = udp;
    hosted.log.debug("session_udp", { port: udp.port });
    udp.send(hosted.early);
    hosted.early = [];
  }

  #toWireGuard(hosted: Hosted, datagrams: readonly Uint8Array[]): void {
    if (hosted.udp !== undefined) {
      hosted.udp.send(datagrams);
      return;
    }
    for (const datagram of datagrams) {
      if (hosted.early.length < EARLY_PACKETS) hosted.early.push(datagram.slice());
      else hosted.tunnel.session.counters.up.drops.udp_blocked++;
    }
  }

  #laneClosed(hosted: Hosted, lane: Lane, error: UtError | undefined): void {
    hosted.log.info("lane_close", { lane_id: lane.id, err: error });
    this.#table.left(now(), hosted.tunnel.session);
    this.#armExpiry();
  }

  #armExpiry(): void {
    clearTimeout(this.#expiryTimer);
    const next = this.#table.nextTimeout();
    if (!Number.isFinite(next) || this.#stopping) return;
    this.#expiryTimer = setTimeout(() => this.#expire(), Math.max(1, next - now()));
  }

  #expire(): void {
    for (const session of this.#table.expire(now(), [])) this.#dispose(session);
    this.#armExpiry();
  }

  #dispose(session: Session): void {
    const hosted = this.#hosted.get(session);
    if (hosted === undefined) return;
    this.#hosted.delete(session);
    hosted.closed = true;
    hosted.tunnel.dispose();
    hosted.udp?.[Symbol.dispose]();
    session.counters.up.drops.closed += hosted.early.length;
    hosted.early = [];
    hosted.log.info("session_close", {});
  }

  #refused(reason: HandshakeFailure, remote: string, detail: string): void {
    this.#handshakeFailures.set(reason, (this.#handshakeFailures.get(reason) ?? 0) + 1);
    this.#refusals.warn("tls_handshake_fail", { reason, remote, detail });
  }
}
