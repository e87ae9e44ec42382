import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { UtError } from "../../core/error.ts";
import type { ChannelDatagram } from "../../core/tunnel/channels.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { Session } from "../../core/tunnel/session.ts";
import type { SessionStatus } from "../../core/tunnel/status.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { openUdp, type UdpDropReason, type UdpSocket } from "../../io/udp/udp.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import { bindTowards } from "../bind-towards.ts";
import { laneTuning } from "../settings.ts";
import type { Berth } from "./arrival.ts";
import { Tunnel } from "./tunnel.ts";

export interface HostedSessionHooks {
  /** Datagrams of channels, no longer valid after this returns. */
  deliverChannels(datagrams: readonly ChannelDatagram[]): void;
  laneClosed(lane: Lane, error: UtError | undefined): void;
  /** The UDP socket cannot be opened: this session is of no use. */
  failed(error: unknown): void;
}

/** Datagrams of a new session that may wait for its UDP socket; the socket opens within a millisecond. */
const EARLY_PACKETS = 1_024;
/** Lines about one thing that goes on and on. */
const QUIET_MS = 5_000;

/**
 * One session at the server: its lanes on one side, on the other a UDP socket of its own towards WireGuard, whose port
 * stays while the session lives, so that WireGuard's endpoint does. A session that carries only channels never has it.
 */
export class HostedSession {
  readonly tunnel: Tunnel;
  readonly log: Log;
  readonly #session: Session;
  readonly #noisy: DebouncedLog;
  readonly #hooks: HostedSessionHooks;
  readonly #target: Config["udp"]["wg_udp_addr"];
  /** Its socket is open, or has been refused. */
  #opened: Promise<void> | undefined;
  #udp: UdpSocket | undefined;
  /** What came before the socket was open. */
  #early: Uint8Array[] = [];
  #closed = false;

  constructor(session: Session, config: Config, log: Log, hooks: HostedSessionHooks) {
    this.#session = session;
    this.#hooks = hooks;
    this.#target = config.udp.wg_udp_addr;
    this.log = log.child({ client_cn: session.clientCn, session_id: session.sessionId });
    this.#noisy = debounced(this.log, QUIET_MS, now);
    this.tunnel = new Tunnel(
      session,
      laneTuning(config),
      {
        deliver: (datagrams) => this.deliver(datagrams),
        deliverChannels: (datagrams) => hooks.deliverChannels(datagrams),
        // The one greeting of a lane was its first PDU.
        control: (_lane, message) => (message.type === "hello" ? "duplicate_hello" : "bad_ctrl"),
        laneClosed: (lane, error) => {
          this.log.info("lane_close", { lane_id: lane.id, err: error });
          hooks.laneClosed(lane, error);
        },
      },
      this.#noisy,
    );
    this.log.info("session_open", {});
  }

  status(): SessionStatus {
    return this.tunnel.status(this.#udp === undefined ? "" : formatAddress(this.#udp));
  }

  /** `lane` is this session's from now on. `isSilent`: its first PDU was DATA, which has been decoded already. */
  berth(lane: Lane, transport: LaneTransport, isSilent: boolean): Berth {
    return {
      start: () => {
        this.tunnel.add(lane, transport);
        this.tunnel.resume(lane, isSilent);
      },
      data: (chunk) => this.tunnel.received(lane, chunk),
      drained: () => this.tunnel.drained(lane),
      closed: (error) => this.tunnel.closed(lane, error),
    };
  }

  /** Towards WireGuard. */
  deliver(datagrams: readonly Uint8Array[]): void {
    if (this.#udp !== undefined) {
      this.#udp.send(datagrams);
      return;
    }
    this.#opened ??= this.#open(this.#target).catch((error: unknown) => {
      this.log.error("session_udp_fail", { err: error });
      this.#hooks.failed(error);
    });
    for (const datagram of datagrams) {
      if (this.#early.length < EARLY_PACKETS) this.#early.push(datagram.slice());
      else this.#dropped("udp_blocked", 1);
    }
  }

  /** Send on what waits on both sides. */
  async drain(deadline: AbortSignal): Promise<void> {
    await this.tunnel.drain("shutdown", deadline);
    if (this.#opened !== undefined) await unlessAborted(this.#opened, deadline);
    await this.#udp?.drained(deadline);
  }

  /** End at once; what still waits is counted as dropped. */
  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.tunnel.dispose();
    this.#udp?.[Symbol.dispose]();
    if (this.#early.length > 0) this.#dropped("closed", this.#early.length);
    this.#early = [];
    this.#noisy.flush();
    this.log.info("session_close", {});
  }

  async #open(target: Config["udp"]["wg_udp_addr"]): Promise<void> {
    const { up } = this.#session.counters;
    const udp = await openUdp({
      host: bindTowards(target.host),
      port: 0,
      connect: target,
      onDatagram: (datagram) => this.tunnel.offer(datagram),
      onDrop: (reason, count) => this.#dropped(reason, count),
      onSent: (count, bytes) => {
        up.outPackets += count;
        up.outBytes += bytes;
      },
      onError: (error) => this.#noisy.warn("udp_unreachable", { to: formatAddress(target), err: error }),
    });
    if (this.#closed) {
      udp[Symbol.dispose]();
      return;
    }
    this.#udp = udp;
    this.log.debug("session_udp", { port: udp.port });
    udp.send(this.#early);
    this.#early = [];
  }

  #dropped(reason: UdpDropReason, count: number): void {
    this.#session.counters.up.drops[reason] += count;
    this.#noisy.warn("udp_drop", { reason, packets: count });
  }
}
