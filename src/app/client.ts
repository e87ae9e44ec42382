import { randomUUID } from "node:crypto";
import type { Config } from "../config/schema.ts";
import { UtError } from "../core/error.ts";
import { TunnelCounters } from "../core/tunnel/counters.ts";
import type { Lane } from "../core/tunnel/lane.ts";
import { Session } from "../core/tunnel/session.ts";
import type { NodeStatus } from "../core/tunnel/status.ts";
import { type ControlMessage, SUPPORTED_CAPS } from "../core/wire/control.ts";
import type { FrameErrorKind } from "../core/wire/pdu.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import { type DebouncedLog, debounced, type Log } from "../io/log.ts";
import { openUdp, type UdpSocket } from "../io/udp.ts";
import { LaneDialer } from "./lane-dialer.ts";
import type { NodeIdentity, Role, RoleContext } from "./role.ts";
import { laneTuning, sessionSettings } from "./settings.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * The client role: a local UDP port whose datagrams travel over lanes to the server. The first datagram dials; the
 * last local address that sent is where answers go, so WireGuard may change its source port whenever it likes.
 */
export async function startClient(config: Config, identity: NodeIdentity, context: RoleContext): Promise<Role> {
  const client = new Client(config, identity, context);
  await client.start();
  return client;
}

class Client implements Role {
  readonly #config: Config;
  readonly #identity: NodeIdentity;
  readonly #context: RoleContext;
  readonly #log: Log;
  readonly #noisy: DebouncedLog;
  readonly #counters = new TunnelCounters();
  readonly #session: Session;
  readonly #tunnel: Tunnel;
  readonly #dialer: LaneDialer;
  readonly #handshakeFailures = new Map<string, number>();
  #udp: UdpSocket | undefined;
  #peer: { port: number; address: string } | undefined;
  #lastError: UtError | undefined;
  #stopping = false;

  constructor(config: Config, identity: NodeIdentity, context: RoleContext) {
    this.#config = config;
    this.#identity = identity;
    this.#context = context;
    const sessionId = randomUUID();
    this.#log = context.log.child({ client_cn: identity.cn, session_id: sessionId });
    this.#session = new Session(
      { ...sessionSettings(config), clientCn: identity.cn, sessionId, outbound: "up" },
      this.#counters,
      now(),
    );
    this.#noisy = debounced(this.#log, 5_000, now);
    const hooks = {
      deliver: (datagrams: readonly Uint8Array[]) => this.#deliver(datagrams),
      control: (lane: Lane, message: ControlMessage) => this.#greeted(lane, message),
      laneClosed: (lane: Lane, error: UtError | undefined) => this.#laneClosed(lane, error),
    };
    this.#tunnel = new Tunnel(this.#session, laneTuning(config), hooks, this.#noisy);
    this.#dialer = this.#createDialer();
  }

  async start(): Promise<void> {
    const { host, port } = this.#config.udp.listen_addr;
    this.#udp = await openUdp({
      host,
      port,
      onDatagram: (datagram, fromPort, fromAddress) => this.#fromLocal(datagram, fromPort, fromAddress),
      onDrop: (reason, count) => {
        this.#counters.down.drops[reason] += count;
        this.#noisy.warn("udp_drop", { reason, packets: count });
      },
      onSent: (count, bytes) => {
        this.#counters.down.outPackets += count;
        this.#counters.down.outBytes += bytes;
      },
      onError: (error) => this.#noisy.warn("udp_unreachable", { port: this.#peer?.port, err: error }),
    });
    if (this.#config.tcp.prewarm) this.#dialer.demand();
  }

  get port(): number {
    return this.#udp?.port ?? 0;
  }

  status(): NodeStatus {
    const udp = `${this.#udp?.host ?? ""}:${this.port}`;
    this.#counters.laneReconnects = this.#dialer.redials;
    return {
      role: "client",
      cn: this.#identity.cn,
      certificateNotAfter: this.#identity.notAfter.toISOString(),
      ready: this.#udp !== undefined && this.#lastError === undefined,
      notReadyReason: this.#lastError?.message,
      listen: udp,
      sessions: [this.#tunnel.status(udp)],
      clients: new Map([[this.#identity.cn, this.#counters]]),
      tlsHandshakeFailures: this.#handshakeFailures,
      stun: undefined,
    };
  }

  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#dialer.stop();
    // What waits while the first lanes are being dialled was accepted, too.
    await this.#tunnel.drain("shutdown", deadline, () => this.#dialer.dialing > 0);
    this.#dialer.abort();
    await this.#udp?.drained(deadline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#dialer.abort();
    this.#tunnel.dispose();
    this.#udp?.[Symbol.dispose]();
    this.#noisy.flush();
  }

  #fromLocal(datagram: Uint8Array, port: number, address: string): void {
    if (this.#peer === undefined || this.#peer.port !== port || this.#peer.address !== address) {
      // The first is news; two programs that fight for the port would make a line of each packet.
      const log = this.#peer === undefined ? this.#log : this.#noisy;
      log.info("local_peer", { address, port, previous_port: this.#peer?.port });
      this.#peer = { port, address };
      this.#session.sourcePort = port;
    }
    const at = this.#tunnel.offer(datagram);
    if (at !== undefined) this.#dialer.demand(at);
  }

  #deliver(datagrams: readonly Uint8Array[]): void {
    this.#dialer.touch();
    if (this.#peer === undefined) this.#counters.down.drops.no_peer += datagrams.length;
    else this.#udp?.sendTo(datagrams, this.#peer.port, this.#peer.address);
  }

  #createDialer(): LaneDialer {
    const { tcp, tls } = this.#config;
    return new LaneDialer(
      { tcp, serverName: tls.server_name, identity: this.#identity, resolve: this.#context.resolve },
      {
        opened: (lane, transport, handshakeMs) => this.#laneOpened(lane, transport, handshakeMs),
        data: (lane, chunk) => this.#tunnel.received(lane, chunk),
        drained: (lane) => this.#tunnel.drained(lane),
        closed: (lane, error) => this.#tunnel.closed(lane, error),
        failed: (laneId, error) => this.#dialFailed(laneId, error),
        idle: () => {
          this.#log.info("idle_close", { idle_seconds: tcp.idle_seconds });
          this.#tunnel.goodbye("idle");
        },
      },
    );
  }

  #laneOpened(lane: Lane, transport: LaneTransport, handshakeMs: number): void {
    // All that waited has left over other lanes.
    if (this.#stopping && this.#session.queuedPackets === 0) {
      transport.terminate();
      return;
    }
    this.#context.handshakeDone(this.#identity.cn, handshakeMs);
    this.#log.info("lane_open", { lane_id: lane.id, remote: transport.remote, handshake_ms: Math.round(handshakeMs) });
    this.#lastError = undefined;
    lane.putControl({
      type: "hello",
      kind: "lane",
      session_id: this.#session.sessionId,
      lane_id: lane.id,
      node: this.#context.node,
      caps: [...SUPPORTED_CAPS],
    });
    this.#session.attach(now(), lane);
    this.#tunnel.add(lane, transport);
  }

  #dialFailed(laneId: number, error: UtError): void {
    this.#lastError = error;
    if (error.kind === "tls.handshake") {
      const reason = String(error.details.code ?? "other");
      this.#handshakeFailures.set(reason, (this.#handshakeFailures.get(reason) ?? 0) + 1);
      this.#log.warn("tls_handshake_fail", { lane_id: laneId, reason, err: error });
    } else if (!this.#stopping) this.#log.warn("lane_dial_fail", { lane_id: laneId, err: error });
    this.#tunnel.progressed();
  }

  #laneClosed(lane: Lane, error: UtError | undefined): void {
    const worked = lane.greeted || lane.packetsIn > 0 || lane.heardGoodbye;
    this.#log.info("lane_close", {
      lane_id: lane.id,
      err: error,
      hint: worked
        ? undefined
        : "the server hung up right after the handshake: it probably refused this certificate (wrong CA, expired, denied CN); its log says why",
    });
    if (!worked) this.#countUnheard(lane);
    if (!worked) this.#lastError = error ?? new UtError("lane.closed", "The server hung up before it answered HELLO");
    this.#dialer.closed(lane, worked);
    // It came in behind the GOODBYE of an idle close, and nothing else may come to ask for a lane.
    if (this.#session.queuedPackets > 0) this.#dialer.demand();
  }

  /**
   * Nothing came back over `lane`: a server that greets never got, or never wanted, what the lane had taken. Its
   * datagrams had no numbers yet, so only this end can count them. A peer that speaks only DATA says nothing in good
   * times, too.
   */
  #countUnheard(lane: Lane): void {
    if (this.#dialer.heard && this.#session.caps === undefined) return;
    this.#counters.up.drops.lane_lost += lane.packetsOut - lane.orphans().length;
  }

  #greeted(lane: Lane, message: ControlMessage): FrameErrorKind | undefined {
    if (message.type !== "hello_ack" || message.session_id !== this.#session.sessionId) return "bad_hello";
    if (lane.greeted) return "duplicate_hello";
    const caps = message.caps.filter((cap) => SUPPORTED_CAPS.includes(cap));
    const out: Uint8Array[] = [];
    const stale = this.#session.epoch;
    this.#session.acknowledge(lane, message.epoch, caps, out);
    this.#deliver(out);
    // The server has forgotten the session that these lanes belong to.
    if (stale !== this.#session.epoch)
      for (const other of [...this.#session.lanes])
        if (other.greeted && other.epoch === stale) this.#tunnel.drop(other);
    return undefined;
  }
}
