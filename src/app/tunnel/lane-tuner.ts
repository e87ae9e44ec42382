import type { Instant } from "../../core/time.ts";
import { CongestionChooser, type CongestionControl } from "../../core/tunnel/congestion.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import { PaceCap } from "../../core/tunnel/pace-cap.ts";
import { type LaneSample, PathObserver } from "../../core/tunnel/path-observer.ts";
import type { Session } from "../../core/tunnel/session.ts";
import { StallDetector } from "../../core/tunnel/stall.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { Log } from "../../io/log/log.ts";
import {
  getCongestionControl,
  readWindow,
  setCongestionControl,
  setMaxPacingRate,
  setNoDelay,
  setNotSentLowat,
  setReceiveBuffer,
  setSendBuffer,
  setUserTimeout,
  type TcpInfo,
  tcpInfo,
} from "../../io/system/sockopt.ts";
import { BATCH_BYTES } from "../settings.ts";

export interface LaneTuning {
  readonly congestion: "auto" | CongestionControl | "system";
  /** TCP_NODELAY; transports set it by themselves. */
  readonly noDelay: boolean;
  /** TCP_NOTSENT_LOWAT, bytes. */
  readonly notSentLowat: number;
  /** TCP_USER_TIMEOUT. */
  readonly userTimeoutMs: number;
  /** SO_SNDBUF and SO_RCVBUF, bytes; undefined leaves them to the system's own tuning. */
  readonly sendBuffer: number | undefined;
  readonly receiveBuffer: number | undefined;
}

/** TCP_INFO of each lane is read so often while datagrams flow: a stall of one round trip should not be missed. */
const SAMPLE_MS = 50;
/** Lanes that repair a loss use less than their share of the cap; the others may use that. */
const LANE_SHARE = 1.1;
/** How long a window that holds a batch is believed. */
const WINDOW_FRESH_MS = 5;
/** Losses are attributed by the round trip of the moment, so the chooser wants every sample, but needs no more. */
const QUIET_MS = 2_000;

interface Tuned {
  readonly transport: LaneTransport;
  readonly stall: StallDetector;
  /** When its window was last read. */
  askedAt: Instant;
}

/**
 * Socket options of a session's lanes, and what TCP_INFO says of them: which congestion control they should use
 * (`tcp.congestion: auto`, also on live lanes), and which of them is stalled and must be left alone.
 */
export class LaneTuner {
  readonly #session: Session;
  readonly #tuning: LaneTuning;
  readonly #log: Log;
  readonly #wake: () => void;
  readonly #lanes = new Map<Lane, Tuned>();
  readonly #path = new PathObserver();
  readonly #chooser = new CongestionChooser();
  readonly #cap = new PaceCap(now());
  #timer: Timer | undefined;
  #refused = false;

  /** `wake` is called when a lane may have become usable again. */
  constructor(session: Session, tuning: LaneTuning, log: Log, wake: () => void) {
    this.#session = session;
    this.#tuning = tuning;
    this.#log = log;
    this.#wake = wake;
  }

  /** What new lanes are set to; `system` leaves them as they are. */
  get congestion(): CongestionControl | "system" {
    if (this.#refused) return "system";
    return this.#tuning.congestion === "auto" ? this.#chooser.choice : this.#tuning.congestion;
  }

  added(lane: Lane, transport: LaneTransport): void {
    this.#lanes.set(lane, { transport, stall: new StallDetector(), askedAt: Number.NEGATIVE_INFINITY });
    const { fd } = transport;
    if (fd === undefined) return;
    const { noDelay, notSentLowat, userTimeoutMs, sendBuffer, receiveBuffer } = this.#tuning;
    if (!noDelay) setNoDelay(fd, false);
    setNotSentLowat(fd, notSentLowat);
    setUserTimeout(fd, userTimeoutMs);
    if (sendBuffer !== undefined) setSendBuffer(fd, sendBuffer);
    if (receiveBuffer !== undefined) setReceiveBuffer(fd, receiveBuffer);
    this.#setCongestion(fd);
    if (Number.isFinite(this.#cap.bytesPerSecond)) this.#capAll();
    this.active();
  }

  removed(lane: Lane): void {
    this.#lanes.delete(lane);
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#lanes.clear();
  }

  /**
   * Before datagrams are given out: which lanes can send at once? Writing spends a window and only an acknowledgement
   * refills it, so a lane whose window still holds a batch is not asked again at once: each question is a system call.
   */
  refreshWindows(time: Instant): void {
    for (const [lane, tuned] of this.#lanes) {
      if (!lane.ready || tuned.transport.fd === undefined) continue;
      if (lane.window >= BATCH_BYTES && time - tuned.askedAt < WINDOW_FRESH_MS) continue;
      tuned.askedAt = time;
      readWindow(tuned.transport.fd, lane);
    }
  }

  /** Datagrams flow (again): sample while they do; an idle tunnel wakes nobody up. */
  active(): void {
    if (this.#timer !== undefined || this.#lanes.size === 0) return;
    this.#timer = setInterval(() => {
      const time = now();
      if (this.#lanes.size === 0 || time - this.#session.lastDataAt > QUIET_MS) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      } else this.#sample(time);
    }, SAMPLE_MS);
    this.#timer.unref();
  }

  #sample(time: Instant): void {
    const samples = new Map<number, LaneSample>();
    let recovered = false;
    for (const [lane, { transport, stall }] of this.#lanes) {
      const info = transport.fd === undefined ? undefined : tcpInfo(transport.fd);
      if (info === undefined) continue;
      const stalled = stall.stalled(time, info.bytesAcked, info.unackedSegments, info.rttMs);
      recovered ||= lane.stalled && !stalled;
      lane.stalled = stalled;
      samples.set(lane.id, laneSample(info));
    }
    if (recovered) this.#wake();
    if (samples.size > 0 && !this.#refused) this.#steer(time, samples);
  }

  /** What the lanes together did to the path decides how they go on. */
  #steer(time: Instant, samples: ReadonlyMap<number, LaneSample>): void {
    const change = this.#path.observe(time, samples);
    if (this.#tuning.congestion === "auto" && this.#chooser.sample(time, change)) this.#switchAll();
    if (this.congestion === "bbr" ? this.#cap.sample(time, change) : this.#cap.lift()) this.#capAll();
  }

  /** All lanes take part in the cap, also those that are silent now: a little more for each than its even share. */
  #capAll(): void {
    const share = (this.#cap.bytesPerSecond / this.#lanes.size) * LANE_SHARE;
    for (const { transport } of this.#lanes.values())
      if (transport.fd !== undefined) setMaxPacingRate(transport.fd, share);
  }

  #switchAll(): void {
    this.#session.counters.congestionSwitches++;
    this.#log.info("congestion_switch", { to: this.#chooser.choice });
    for (const { transport } of this.#lanes.values()) if (transport.fd !== undefined) this.#setCongestion(transport.fd);
  }

  #setCongestion(fd: number): void {
    const wanted = this.congestion;
    if (wanted === "system" || setCongestionControl(fd, wanted)) return;
    this.#refused = true;
    // Said once: macOS has no choice, and Linux allows BBR only where the module is loaded and permitted.
    this.#log.warn("congestion_refused", {
      wanted,
      has: getCongestionControl(fd),
      hint: "on Linux: modprobe tcp_bbr; sysctl net.ipv4.tcp_allowed_congestion_control='reno cubic bbr'",
    });
  }
}

function laneSample(info: TcpInfo): LaneSample {
  return {
    segmentsOut: info.segmentsOut,
    retransmits: info.totalRetransmits,
    bytesAcked: info.bytesAcked,
    rttMs: info.rttMs,
    minRttMs: info.minRttMs,
  };
}
