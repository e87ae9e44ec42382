import type { Instant } from "../core/time.ts";
import type { Lane } from "../core/tunnel/lane.ts";
import type { Session } from "../core/tunnel/session.ts";
import type { LaneStatus, TcpStatus } from "../core/tunnel/status.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import type { Log } from "../io/log.ts";
import {
  getCongestionControl,
  setCongestionControl,
  setNotSentLowat,
  setReceiveBuffer,
  setSendBuffer,
  setUserTimeout,
  tcpInfo,
} from "../io/sockopt.ts";

export interface LaneTuning {
  readonly congestion: "auto" | "bbr" | "cubic" | "system";
  readonly notSentLowat: number;
  readonly userTimeoutMs: number;
  readonly sendBuffer: number | undefined;
  readonly receiveBuffer: number | undefined;
}

/** Socket options of a session's lanes, and what TCP_INFO says of them. */
export class LaneTuner {
  readonly #tuning: LaneTuning;
  readonly #log: Log;
  readonly #transports: ReadonlyMap<Lane, LaneTransport>;
  readonly #timer: Timer;
  congestion: string;

  constructor(
    _session: Session,
    transports: ReadonlyMap<Lane, LaneTransport>,
    tuning: LaneTuning,
    log: Log,
    _wake: () => void,
  ) {
    this.#tuning = tuning;
    this.#log = log;
    this.#transports = transports;
    this.congestion = tuning.congestion === "auto" ? "bbr" : tuning.congestion;
    this.#timer = setInterval(() => this.#sample(now()), 100);
    this.#timer.unref();
  }

  added(_lane: Lane, transport: LaneTransport): void {
    const { fd } = transport;
    if (fd === undefined) return;
    setNotSentLowat(fd, this.#tuning.notSentLowat);
    setUserTimeout(fd, this.#tuning.userTimeoutMs);
    if (this.#tuning.sendBuffer !== undefined) setSendBuffer(fd, this.#tuning.sendBuffer);
    if (this.#tuning.receiveBuffer !== undefined) setReceiveBuffer(fd, this.#tuning.receiveBuffer);
    if (this.congestion !== "system" && !setCongestionControl(fd, this.congestion)) {
      this.#log.warn("congestion_refused", { wanted: this.congestion, has: getCongestionControl(fd) });
    }
  }

  removed(_lane: Lane): void {}

  dispose(): void {
    clearInterval(this.#timer);
  }

  #sample(_time: Instant): void {
    void this.#transports;
  }
}

export function laneStatus(lane: Lane, transport: LaneTransport | undefined): LaneStatus {
  return {
    id: lane.id,
    state: lane.saidGoodbye || lane.heardGoodbye ? "closing" : "open",
    remote: transport?.remote ?? "",
    bytesIn: lane.bytesIn,
    bytesOut: lane.bytesOut,
    packetsIn: lane.packetsIn,
    packetsOut: lane.packetsOut,
    tcp: transport?.fd === undefined ? undefined : tcpStatus(transport.fd),
  };
}

function tcpStatus(fd: number): TcpStatus | undefined {
  const info = tcpInfo(fd);
  return (
    info && {
      congestion: getCongestionControl(fd) ?? "unknown",
      rttMs: info.rttMs,
      minRttMs: info.minRttMs,
      unsentBytes: info.unsentBytes,
      retransmits: info.totalRetransmits,
      deliveryRateBitsPerSecond: info.deliveryRate * 8,
    }
  );
}
