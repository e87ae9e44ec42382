import { randomInt } from "node:crypto";
import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { HandshakeGate } from "../../core/tunnel/handshake-gate.ts";
import type { Session } from "../../core/tunnel/session.ts";
import { SessionTable } from "../../core/tunnel/session-table.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Hello } from "../../core/wire/control.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import { type LaneListener, listenTlsLanes } from "../../io/lanes/tls-listen.ts";
import type { HandshakeFailure } from "../../io/lanes/tls-verdict.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { type StunService, startStunService } from "../nat/stun-service.ts";
import { ChannelRelay } from "../peers/channel-relay.ts";
import { SignalService } from "../peers/signal-service.ts";
import type { NodeIdentity, Role, RoleContext } from "../role.ts";
import { sessionSettings } from "../settings.ts";
import { Arrival, type Berth, type Refusal } from "./arrival.ts";
import { HostedSession } from "./hosted-session.ts";

/** The server, and its exchange for pipes between peers: who may have one is told to it from outside. */
export interface ServerRole extends Role {
  readonly channels: ChannelRelay;
}

/**
 * The server role: ends lanes and forwards each session's datagrams to the local WireGuard through a UDP socket of
 * its own, whose port stays while the session lives, so that WireGuard's endpoint does. Beside it, it answers STUN and
 * brings peers together.
 */
export async function startServer(config: Config, identity: NodeIdentity, context: RoleContext): Promise<ServerRole> {
  using opening = new DisposableStack();
  let server: Server | undefined;
  const stun = await startStunService(config.server.stun, context.log, {
    passwordOf: (username) => server?.signals?.passwordOf(username),
    observed: (username, from) => server?.signals?.observed(username, from),
  });
  opening.use(stun);
  server = new Server(config, identity, context, stun);
  opening.move();
  return server;
}

class Server implements ServerRole {
  readonly channels: ChannelRelay;
  /** Undefined with `server.peers: false`. */
  readonly signals: SignalService | undefined;
  readonly #config: Config;
  readonly #identity: NodeIdentity;
  readonly #context: RoleContext;
  readonly #log: Log;
  readonly #refusals: DebouncedLog;
  readonly #table: SessionTable;
  readonly #hosted = new Map<Session, HostedSession>();
  readonly #listener: LaneListener;
  readonly #stun: StunService | undefined;
  readonly #handshakeFailures = new Map<string, number>();
  /** Authenticated, but their first PDU has not come: bounded in all and for each CN. */
  readonly #greeting = new HandshakeGate<LaneTransport>();
  #expiryTimer: Timer | undefined;
  #stopping = false;

  constructor(config: Config, identity: NodeIdentity, context: RoleContext, stun: StunService | undefined) {
    this.#config = config;
    this.#stun = stun;
    this.#identity = identity;
    this.#context = context;
    this.#log = context.log;
    this.#refusals = debounced(context.log, 1_000, now);
    this.#table = new SessionTable({
      session: sessionSettings(config),
      lingerMs: config.tcp.session_linger_seconds * 1_000,
      randomU32: () => randomInt(2 ** 32),
    });
    this.channels = new ChannelRelay({
      sessionOf: (cn, sessionId) => this.#reach(cn, sessionId),
      wake: (session) => this.#hosted.get(session)?.tunnel.wake(),
    });
    const { transport, wss, listen_addr } = config.tcp;
    const webSocketPath = transport === "wss" ? wss.path : undefined;
    this.signals = config.server.peers ? this.#startSignals(stun?.port ?? 0) : undefined;
    this.#listener = listenTlsLanes(
      { ...listen_addr, identity, denyCn: config.tls.deny_cn, webSocketPath },
      {
        accept: (transport, handshakeMs) => this.#accept(transport, handshakeMs),
        refused: (reason, remote, detail) => this.#refused(reason, remote, detail),
        broken: (transport, kind) => this.#frameError(transport, kind),
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
      sessions: [...this.#hosted.values()].map((hosted) => hosted.status()),
      clients: this.#table.counters,
      tlsHandshakeFailures: this.#handshakeFailures,
      stun: this.#stun?.status(),
      signals: this.signals?.status(),
    };
  }

  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#listener.stop();
    this.channels.clear();
    await Promise.all([
      ...[...this.#hosted.values()].map((hosted) => hosted.drain(deadline)),
      this.signals?.drain(deadline),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#expiryTimer);
    this.#listener[Symbol.dispose]();
    this.#stun?.[Symbol.dispose]();
    this.signals?.[Symbol.dispose]();
    for (const session of this.#table.sessions) this.#dispose(session);
    this.#refusals.flush();
  }

  #accept(transport: LaneTransport, handshakeMs: number): Arrival {
    const cn = transport.peerCn;
    this.#context.handshakeDone(cn, handshakeMs, transport);
    this.#table.countersOf(cn);
    for (const crowded of this.#greeting.enter(transport, cn)) {
      this.#refused("crowded_out", crowded.remote, `too many connections of ${cn} without a first PDU`);
      crowded.terminate();
    }
    return new Arrival(transport, {
      join: (arrival, hello) => this.#join(arrival, hello),
      refused: (_arrival, kind) => {
        if (kind === "peers_off") this.#refusals.warn("control_refused", { client_cn: cn, remote: transport.remote });
        else this.#frameError(transport, kind);
      },
      left: (_arrival, error) => {
        this.#greeting.leave(transport);
        this.#log.info("lane_close", { client_cn: cn, remote: transport.remote, err: error, hint: "no HELLO came" });
      },
    });
  }

  #join(arrival: Arrival, hello: Hello | undefined): Berth | Refusal {
    return hello?.kind === "control" ? this.#joinControl(arrival, hello) : this.#joinLane(arrival, hello);
  }

  #joinControl({ lane, transport }: Arrival, hello: Hello): Berth | Refusal {
    const joined = this.signals?.join(transport, lane.decoder, hello) ?? "peers_off";
    // Whoever is refused counts as one that has not greeted until it is gone.
    if (typeof joined !== "string") this.#greeting.leave(transport);
    return joined;
  }

  #joinLane({ lane, transport }: Arrival, hello: Hello | undefined): Berth | Refusal {
    const joined = this.#table.join(now(), lane, transport.peerCn, hello, []);
    if (!joined.ok) return joined.kind;
    this.#greeting.leave(transport);
    if (joined.evicted !== undefined) this.#dispose(joined.evicted);
    const hosted = this.#hosted.get(joined.session) ?? this.#host(joined.session);
    hosted.log.info("lane_open", { lane_id: lane.id, remote: transport.remote, node: hello?.node });
    if (joined.replaced !== undefined) hosted.tunnel.drop(joined.replaced);
    // A lane that was under way when the node was told to stop: what it brings is taken, then it must go.
    if (this.#stopping) setImmediate(() => hosted.tunnel.goodbye("shutdown"));
    return hosted.berth(lane, transport, hello === undefined);
  }

  /** For what a peer is to get over its lanes, which may be yet to come. */
  #reach(cn: string, sessionId: string): Session | undefined {
    const reached = this.#table.reach(now(), cn, sessionId, []);
    if (reached?.evicted !== undefined) this.#dispose(reached.evicted);
    if (reached?.created === true) {
      this.#host(reached.session);
      this.#armExpiry();
    }
    return reached?.session;
  }

  #host(session: Session): HostedSession {
    const hosted = new HostedSession(session, this.#config, this.#log, {
      deliverChannels: (datagrams) => this.channels.received(session, datagrams),
      laneClosed: () => {
        this.#table.left(now(), session);
        this.#armExpiry();
      },
      failed: () => this.#dispose(session),
    });
    this.#hosted.set(session, hosted);
    return hosted;
  }

  #startSignals(stunPort: number): SignalService {
    const signals = new SignalService(
      { log: this.#log, stunPort },
      {
        opened: (ends) => this.channels.open(ends),
        closed: (ends) => this.channels.close(ends),
        refused: (transport, kind) => this.#frameError(transport, kind),
      },
    );
    this.channels.onLanesWanted = ({ cn, sessionId, packets }) => signals.lanesWanted({ cn, sessionId }, packets);
    return signals;
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
    hosted.dispose();
    this.#table.remove(session, []);
  }

  #frameError({ peerCn, remote }: LaneTransport, kind: FrameErrorKind): void {
    this.#table.countersOf(peerCn).frameError(kind);
    this.#refusals.warn("frame_err", { kind, client_cn: peerCn, remote });
  }

  #refused(reason: HandshakeFailure, remote: string, detail: string): void {
    this.#handshakeFailures.set(reason, (this.#handshakeFailures.get(reason) ?? 0) + 1);
    this.#refusals.warn("tls_handshake_fail", { reason, remote, detail });
  }
}
