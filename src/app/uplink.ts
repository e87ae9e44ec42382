import { randomUUID } from "node:crypto";
import type { Config } from "../config/schema.ts";
import { UtError } from "../core/error.ts";
import type { ChannelDatagram } from "../core/tunnel/channels.ts";
import { TunnelCounters } from "../core/tunnel/counters.ts";
import type { Lane } from "../core/tunnel/lane.ts";
import { Session } from "../core/tunnel/session.ts";
import type { SessionStatus } from "../core/tunnel/status.ts";
import { type ControlMessage, SUPPORTED_CAPS } from "../core/wire/control.ts";
import type { FrameErrorKind } from "../core/wire/pdu.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import { type DebouncedLog, debounced, type Log } from "../io/log.ts";
import { LaneDialer } from "./lane-dialer.ts";
import type { NodeIdentity, RoleContext } from "./role.ts";
import { laneTuning, sessionSettings } from "./settings.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * This process's lanes to the server: one session, dialled when something wants to go or `demand` is called, for all of
 * its roles. The client role sends its datagrams with `offer`, the peer roles theirs with `offerChannel`; what comes
 * back goes to whoever has set `onDatagrams` and `onChannel`.
 *
 * Every one of its users may drain and dispose of it; the first one that does ends it for all.
 */
export class Uplink implements AsyncDisposable {
  readonly counters = new TunnelCounters();
  readonly session: Session;
  /** The session's, and the same for lines that could come once for each packet. */
  readonly log: Log;
  readonly noisy: DebouncedLog;
  /** Handshakes that failed, by reason. */
  readonly handshakeFailures = new Map<string, number>();
  /** Datagrams of the tunnel: sent before this returns, or copied. Without, they are dropped and counted. */
  onDatagrams: ((datagrams: readonly Uint8Array[]) => void) | undefined;
  /** A datagram of a channel: used before this returns, or copied. Without, it is dropped and counted. */
  onChannel: ((channel: number, datagram: Uint8Array) => void) | undefined;
  /** Why the last dial came to nothing; undefined when a lane has opened since. */
  lastError: UtError | undefined;
  readonly #identity: NodeIdentity;
  readonly #context: RoleContext;
  readonly #tunnel: Tunnel;
  readonly #dialer: LaneDialer;
  #stopping = false;

  constructor(config: Config, identity: NodeIdentity, context: RoleContext) {
    this.#identity = identity;
    this.#context = context;
    const sessionId = randomUUID();
    this.log = context.log.child({ client_cn: identity.cn, session_id: sessionId });
    this.noisy = debounced(this.log, 5_000, now);
    this.session = new Session(
      { ...sessionSettings(config), clientCn: identity.cn, sessionId, outbound: "up" },
      this.counters,
      now(),
    );
    const hooks = {
      deliver: (datagrams: readonly Uint8Array[]) => this.#deliver(datagrams),
      deliverChannels: (datagrams: readonly ChannelDatagram[]) => this.#deliverChannels(datagrams),
      control: (lane: Lane, message: ControlMessage) => this.#greeted(lane, message),
      laneClosed: (lane: Lane, error: UtError | undefined) => this.#laneClosed(lane, error),
    };
    this.#tunnel = new Tunnel(this.session, laneTuning(config), hooks, this.noisy);
    this.#dialer = this.#createDialer(config);
  }

  /** Of the lanes, and to be named in the hello of the control connection. */
  get sessionId(): string {
    return this.session.sessionId;
  }

  /** A datagram of the tunnel. It is kept, not copied. */
  offer(datagram: Uint8Array): void {
    const at = this.#tunnel.offer(datagram);
    if (at !== undefined) this.#dialer.demand(at);
  }

  /** A datagram for the other end of `channel`, a number of the server. It is kept, not copied. */
  offerChannel(channel: number, datagram: Uint8Array): void {
    const at = this.#tunnel.offerChannel(channel, datagram);
    if (at !== undefined) this.#dialer.demand(at);
  }

  /** What waits for `channel` is of no use any more. */
  closeChannel(channel: number): void {
    this.session.closeChannel(channel);
  }

  /** Lanes are wanted: something will come over them, or is about to go. */
  demand(): void {
    this.#dialer.demand();
  }

  /** `udp`: the local address that the tunnel's datagrams come from, "" without. */
  status(udp: string): SessionStatus {
    this.counters.laneReconnects = this.#dialer.redials;
    return this.#tunnel.status(udp);
  }

  /** Send what waits, say GOODBYE, wait for the server; `deadline` cuts it short. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#dialer.stop();
    // What waits while the first lanes are being dialled was accepted, too.
    await this.#tunnel.drain("shutdown", deadline, () => this.#dialer.dialing > 0);
    this.#dialer.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#dialer.abort();
    this.#tunnel.dispose();
    this.noisy.flush();
  }

  #deliver(datagrams: readonly Uint8Array[]): void {
    this.#dialer.touch();
    if (this.onDatagrams === undefined) this.counters.down.drops.no_peer += datagrams.length;
    else this.onDatagrams(datagrams);
  }

  #deliverChannels(datagrams: readonly ChannelDatagram[]): void {
    this.#dialer.touch();
    const counters = this.counters.channels.down;
    for (const { channel, datagram } of datagrams) {
      if (this.onChannel === undefined) counters.drops.unknown++;
      else {
        counters.outPackets++;
        counters.outBytes += datagram.length;
        this.onChannel(channel, datagram);
      }
    }
  }

  #createDialer({ tcp, tls }: Config): LaneDialer {
    return new LaneDialer(
      { tcp, serverName: tls.server_name, identity: this.#identity, resolve: this.#context.resolve },
      {
        opened: (lane, transport, handshakeMs) => this.#laneOpened(lane, transport, handshakeMs),
        data: (lane, chunk) => this.#tunnel.received(lane, chunk),
        drained: (lane) => this.#tunnel.drained(lane),
        closed: (lane, error) => this.#tunnel.closed(lane, error),
        failed: (laneId, error) => this.#dialFailed(laneId, error),
        idle: () => {
          this.log.info("idle_close", { idle_seconds: tcp.idle_seconds });
          this.#tunnel.goodbye("idle");
        },
      },
    );
  }

  #laneOpened(lane: Lane, transport: LaneTransport, handshakeMs: number): void {
    // All that waited has left over other lanes.
    if (this.#stopping && this.session.queuedPackets === 0) {
      transport.terminate();
      return;
    }
    this.#context.handshakeDone(this.#identity.cn, handshakeMs);
    this.log.info("lane_open", { lane_id: lane.id, remote: transport.remote, handshake_ms: Math.round(handshakeMs) });
    this.lastError = undefined;
    lane.putControl({
      type: "hello",
      kind: "lane",
      session_id: this.session.sessionId,
      lane_id: lane.id,
      node: this.#context.node,
      caps: [...SUPPORTED_CAPS],
    });
    this.session.attach(now(), lane);
    this.#tunnel.add(lane, transport);
  }

  #dialFailed(laneId: number, error: UtError): void {
    this.lastError = error;
    if (error.kind === "tls.handshake") {
      const reason = String(error.details.code ?? "other");
      this.handshakeFailures.set(reason, (this.handshakeFailures.get(reason) ?? 0) + 1);
      this.log.warn("tls_handshake_fail", { lane_id: laneId, reason, err: error });
    } else if (!this.#stopping) this.log.warn("lane_dial_fail", { lane_id: laneId, err: error });
    this.#tunnel.progressed();
  }

  #laneClosed(lane: Lane, error: UtError | undefined): void {
    const worked = lane.greeted || lane.packetsIn > 0 || lane.heardGoodbye;
    this.log.info("lane_close", {
      lane_id: lane.id,
      err: error,
      hint: worked
        ? undefined
        : "the server hung up right after the handshake: it probably refused this certificate (wrong CA, expired, denied CN); its log says why",
    });
    if (!worked) this.#countUnheard(lane);
    if (!worked) this.lastError = error ?? new UtError("lane.closed", "The server hung up before it answered HELLO");
    this.#dialer.closed(lane, worked);
    // It came in behind the GOODBYE of an idle close, and nothing else may come to ask for a lane.
    if (this.session.queuedPackets > 0) this.#dialer.demand();
  }

  /**
   * Nothing came back over `lane`: a server that greets never got, or never wanted, what the lane had taken. Its
   * datagrams had no numbers yet, so only this end can count them. A peer that speaks only DATA says nothing in good
   * times, too.
   */
  #countUnheard(lane: Lane): void {
    if (this.#dialer.heard && this.session.caps === undefined) return;
    this.counters.up.drops.lane_lost += lane.packetsOut - lane.orphans().length;
  }

  #greeted(lane: Lane, message: ControlMessage): FrameErrorKind | undefined {
    if (message.type !== "hello_ack" || message.session_id !== this.session.sessionId) return "bad_hello";
    if (lane.greeted) return "duplicate_hello";
    const caps = message.caps.filter((cap) => SUPPORTED_CAPS.includes(cap));
    const out: Uint8Array[] = [];
    const stale = this.session.epoch;
    this.session.acknowledge(lane, message.epoch, caps, out);
    this.#deliver(out);
    // The server has forgotten the session that these lanes belong to.
    if (stale !== this.session.epoch)
      for (const other of [...this.session.lanes]) if (other.greeted && other.epoch === stale) this.#tunnel.drop(other);
    return undefined;
  }
}
