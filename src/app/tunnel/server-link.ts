import type { Address } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { UtError } from "../../core/error.ts";
import type { Instant } from "../../core/time.ts";
import type { ChannelDatagram } from "../../core/tunnel/channels.ts";
import type { TunnelCounters } from "../../core/tunnel/counters.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import { Session } from "../../core/tunnel/session.ts";
import type { SessionStatus } from "../../core/tunnel/status.ts";
import { type ControlMessage, SUPPORTED_CAPS } from "../../core/wire/control.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { DebouncedLog, Log } from "../../io/log/log.ts";
import type { NodeIdentity, RoleContext } from "../role.ts";
import { laneTuning, sessionSettings } from "../settings.ts";
import { LaneDialer } from "./lane-dialer.ts";
import { Tunnel } from "./tunnel.ts";

/** Likely causes, for the log. */
const HUNG_UP =
  "the server hung up right after the handshake: it probably refused this certificate (wrong CA, expired, denied CN); its log says why";
const OTHER_TRANSPORT =
  "the server answered with something else than frames: check that tcp.transport is the same there";

/** What the links of one process have in common. */
export interface LinkParts {
  readonly config: Config;
  readonly identity: NodeIdentity;
  readonly context: RoleContext;
  readonly sessionId: string;
  readonly counters: TunnelCounters;
  readonly log: Log;
  readonly noisy: DebouncedLog;
  /** Handshakes that failed, by reason. */
  readonly handshakeFailures: Map<string, number>;
}

export interface ServerLinkHooks {
  /** Datagrams of the tunnel: sent before this returns, or copied. */
  deliver(datagrams: readonly Uint8Array[]): void;
  /** Datagrams of channels, no longer valid after this returns. */
  deliverChannels(datagrams: readonly ChannelDatagram[]): void;
  /** A lane is up. */
  opened(): void;
  /** The server has said something over a lane. */
  answered(): void;
  /** A lane has ended, or a dial came to nothing. `worked`: it had been of use. */
  ended(worked: boolean): void;
}

/** The lanes to one server: a session of its own, dialled when something wants to go or `demand` is called. */
export class ServerLink implements AsyncDisposable {
  readonly session: Session;
  /** Why the last dial came to nothing; undefined when a lane has opened since. */
  lastError: UtError | undefined;
  readonly #parts: LinkParts;
  readonly #hooks: ServerLinkHooks;
  readonly #tunnel: Tunnel;
  readonly #dialer: LaneDialer;
  #stopping = false;

  constructor(server: Address, parts: LinkParts, hooks: ServerLinkHooks) {
    const { config, identity, sessionId, counters, noisy } = parts;
    this.#parts = parts;
    this.#hooks = hooks;
    this.session = new Session(
      { ...sessionSettings(config), clientCn: identity.cn, sessionId, outbound: "up" },
      counters,
      now(),
    );
    this.#tunnel = new Tunnel(
      this.session,
      laneTuning(config),
      {
        deliver: (datagrams) => this.#deliver(datagrams),
        deliverChannels: (datagrams) => this.#deliverChannels(datagrams),
        control: (lane, message) => this.#greeted(lane, message),
        laneClosed: (lane, error) => this.#laneClosed(lane, error),
      },
      noisy,
    );
    this.#dialer = this.#createDialer(server);
  }

  /** Lanes dialled again after one broke or failed. */
  get redials(): number {
    return this.#dialer.redials;
  }

  /** A datagram of the tunnel. It is kept, not copied. Returns when it came; undefined: it was not taken. */
  offer(datagram: Uint8Array): Instant | undefined {
    const at = this.#tunnel.offer(datagram);
    if (at !== undefined) this.#dialer.demand(at);
    return at;
  }

  /** A datagram for the other end of `channel`. It is kept, not copied. Returns and undefined as of `offer`. */
  offerChannel(channel: number, datagram: Uint8Array): Instant | undefined {
    const at = this.#tunnel.offerChannel(channel, datagram);
    if (at !== undefined) this.#dialer.demand(at);
    return at;
  }

  /** Lanes are wanted: something will come over them, or is about to go. */
  demand(): void {
    this.#dialer.demand();
  }

  /** One lane, to see whether the server is there. */
  probe(): void {
    this.#dialer.probe();
  }

  /** Everything goes over `other` from now on; what is under way here may still arrive. */
  moveTo(other: ServerLink): void {
    const isBusy = this.session.lanes.length > 0 || this.session.queuedPackets > 0;
    this.session.moveTo(now(), other.session);
    other.probe();
    if (!isBusy) return;
    other.demand();
    other.#tunnel.wake();
  }

  /** No lane of it is wanted any more. */
  leave(): void {
    this.#dialer.release();
    this.#tunnel.goodbye("moved");
  }

  /** `udp`: the local address that the tunnel's datagrams come from, "" without. */
  status(udp: string): SessionStatus {
    return this.#tunnel.status(udp, this.#dialer.slots);
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
  }

  #deliver(datagrams: readonly Uint8Array[]): void {
    this.#dialer.touch();
    this.#hooks.deliver(datagrams);
  }

  #deliverChannels(datagrams: readonly ChannelDatagram[]): void {
    this.#dialer.touch();
    this.#hooks.deliverChannels(datagrams);
  }

  #createDialer(server: Address): LaneDialer {
    const { config, identity, context, log } = this.#parts;
    const { tcp, tls } = config;
    return new LaneDialer(
      { tcp, server, serverName: tls.server_name, identity, resolve: context.resolve },
      {
        opened: (lane, transport, handshakeMs) => this.#laneOpened(lane, transport, handshakeMs),
        data: (lane, chunk) => this.#tunnel.received(lane, chunk),
        drained: (lane) => this.#tunnel.drained(lane),
        broken: (lane, kind) => this.#tunnel.broken(lane, kind),
        closed: (lane, error) => this.#tunnel.closed(lane, error),
        proven: () => this.#hooks.answered(),
        failed: (laneId, error) => this.#dialFailed(laneId, error),
        idle: () => {
          log.info("idle_close", { idle_seconds: tcp.idle_seconds });
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
    const { identity, context, log } = this.#parts;
    context.handshakeDone(identity.cn, handshakeMs, transport);
    log.info("lane_open", { lane_id: lane.id, remote: transport.remote, handshake_ms: Math.round(handshakeMs) });
    this.lastError = undefined;
    lane.putControl({
      type: "hello",
      kind: "lane",
      session_id: this.session.sessionId,
      lane_id: lane.id,
      node: context.node,
      caps: [...SUPPORTED_CAPS],
    });
    this.session.attach(now(), lane);
    this.#tunnel.add(lane, transport);
    this.#hooks.opened();
  }

  #dialFailed(laneId: number, error: UtError): void {
    const { handshakeFailures, log } = this.#parts;
    this.lastError = error;
    this.#tunnel.records.failed(laneId, now(), error);
    if (error.kind === "tls.handshake") {
      const reason = String(error.details.code ?? "other");
      handshakeFailures.set(reason, (handshakeFailures.get(reason) ?? 0) + 1);
      log.warn("tls_handshake_fail", { lane_id: laneId, reason, err: error });
    } else if (!this.#stopping) log.warn("lane_dial_fail", { lane_id: laneId, err: error });
    this.#tunnel.progressed();
    this.#hooks.ended(false);
  }

  #laneClosed(lane: Lane, error: UtError | undefined): void {
    const worked = lane.greeted || lane.packetsIn > 0 || lane.heardGoodbye;
    const hint = lane.error === "bad_magic" ? OTHER_TRANSPORT : HUNG_UP;
    this.#parts.log.info("lane_close", { lane_id: lane.id, err: error, hint: worked ? undefined : hint });
    if (!worked) this.#countUnheard(lane);
    if (!worked) this.lastError = error ?? new UtError("lane.closed", "The server hung up before it answered HELLO");
    this.#dialer.closed(lane, worked);
    this.#hooks.ended(worked);
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
    this.#parts.counters.up.drops.lane_lost += lane.packetsOut - lane.orphans().length;
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
