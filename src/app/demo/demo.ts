import { now } from "../../io/clock.ts";
import type { LatencySummary } from "../latencies.ts";
import { throwAwayIdentities } from "../loopback.ts";
import { LaneMeter, type LaneTotals } from "../tunnel/lane-meter.ts";
import { until } from "../wait.ts";
import { DemoBed } from "./demo-bed.ts";
import { DemoSender } from "./demo-sender.ts";
import { DemoTraffic, EDGE_SIZES } from "./demo-traffic.ts";

export interface DemoOptions {
  /** Of traffic, in all. */
  readonly seconds: number;
  /** Datagrams a second, at most. */
  readonly rate: number;
  readonly lanes: number;
  /** Sizes and contents of the datagrams. */
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Who watches: steps as they are done, and the state of the traffic five times a second. */
export interface DemoWatcher {
  step(step: DemoStep): void;
  progress(progress: DemoProgress): void;
}

export type DemoStep =
  | { readonly type: "certificates"; readonly ms: number }
  | { readonly type: "listening"; readonly client: number; readonly server: number; readonly echo: number }
  /** From the first datagram: until it was back, and until all lanes were up. */
  | { readonly type: "lanes-up"; readonly lanes: number; readonly firstMs: number; readonly ms: number }
  | { readonly type: "edges"; readonly sizes: readonly number[] }
  /** Reset by the network, dialled again by the client. */
  | { readonly type: "lane-cut"; readonly lane: number; readonly backMs: number }
  | { readonly type: "moved"; readonly from: number; readonly to: number };

export interface DemoProgress {
  /** Of the traffic, 0 to 1. */
  readonly share: number;
  readonly seconds: number;
  readonly sent: number;
  readonly back: number;
  /** P50 of the last interval, ms; NaN when nothing came back in it. */
  readonly rttMs: number;
  readonly mbitUp: number;
  readonly mbitDown: number;
  readonly lanes: readonly LaneSpeed[];
}

export interface LaneSpeed {
  readonly id: number;
  readonly open: boolean;
  readonly mbitUp: number;
  readonly mbitDown: number;
}

export interface DemoReport {
  /** Every datagram came back unchanged, and what was shown beside it held. */
  readonly ok: boolean;
  readonly interrupted: boolean;
  /** Of traffic. */
  readonly seconds: number;
  readonly sent: number;
  readonly back: number;
  readonly lost: number;
  readonly changed: number;
  readonly surplus: number;
  /** Of everything that was sent, and of what came back unchanged; payload only. */
  readonly sentBytes: number;
  readonly backBytes: number;
  readonly rttMs: LatencySummary;
  readonly lanes: readonly LaneTotals[];
  readonly seed: number;
  /** What went wrong, for a person. */
  readonly problems: readonly string[];
  /** The roles' last warnings, JSON lines; empty when all is well. */
  readonly log: readonly string[];
}

const PROGRESS_MS = 200;
const LANES_UP_MS = 10_000;
const GOODBYE_MS = 2_000;
/** A WireGuard handshake initiation: what a real tunnel starts with. */
const FIRST_BYTES = 148;
/** Acts of equal length, with an incident in every pause between them. */
const ACTS = 3;

/**
 * The main job of `ut` on this machine alone: traffic through both roles, every byte checked when it comes back. In the
 * pauses a lane is cut, and the sender moves to another port: pauses, because a lane that dies takes what is on it
 * along, and here not one datagram may be missing. Throws `io.bind` when ports cannot be had.
 */
export async function runDemo(options: DemoOptions, watcher: DemoWatcher): Promise<DemoReport> {
  const startedAt = now();
  const identities = await throwAwayIdentities();
  watcher.step({ type: "certificates", ms: now() - startedAt });
  await using bed = await DemoBed.open(identities, options.lanes);
  watcher.step({ type: "listening", client: bed.client.port, server: bed.server.port, echo: bed.echo.port });
  const traffic = new DemoTraffic(options.seed);
  using sender = await DemoSender.open(traffic, bed.client.port);
  const demo = new Demo(options, watcher, bed, traffic, sender);
  await demo.play();
  await bed.client.drain(AbortSignal.timeout(GOODBYE_MS));
  return demo.report();
}

class Demo {
  readonly #options: DemoOptions;
  readonly #watcher: DemoWatcher;
  readonly #bed: DemoBed;
  readonly #traffic: DemoTraffic;
  readonly #sender: DemoSender;
  readonly #meter = new LaneMeter();
  readonly #problems: string[] = [];
  #trafficMs = 0;
  #lastProgress: { at: number; back: number; sentBytes: number; backBytes: number; lanes: readonly LaneTotals[] };

  constructor(options: DemoOptions, watcher: DemoWatcher, bed: DemoBed, traffic: DemoTraffic, sender: DemoSender) {
    this.#options = options;
    this.#watcher = watcher;
    this.#bed = bed;
    this.#traffic = traffic;
    this.#sender = sender;
    this.#lastProgress = { at: now(), back: 0, sentBytes: 0, backBytes: 0, lanes: [] };
  }

  async play(): Promise<void> {
    await this.#dial();
    await this.#edges();
    const incidents = [() => this.#cutLane(), () => this.#moveSender()];
    for (let act = 0; act < ACTS && this.#goesOn; act++) {
      await this.#stream();
      if (this.#goesOn) await incidents[act]?.();
    }
    if (this.#goesOn) this.#checkSession();
  }

  report(): DemoReport {
    const { sent, back, lost, changed, surplus, sentBytes, backBytes, latencies, findings } = this.#traffic;
    const interrupted = this.#options.signal.aborted;
    const problems = [...this.#problems, ...findings];
    return {
      ok: !interrupted && problems.length === 0 && back === sent,
      interrupted,
      seconds: this.#trafficMs / 1_000,
      sent,
      back,
      lost,
      changed,
      surplus,
      sentBytes,
      backBytes,
      rttMs: latencies.summary(),
      lanes: this.#meter.lanes,
      seed: this.#options.seed,
      problems,
      log: problems.length > 0 ? this.#bed.log : [],
    };
  }

  /** A lost datagram is the end of the show: the demo has nothing more to prove then. */
  get #goesOn(): boolean {
    return !this.#options.signal.aborted && this.#problems.length === 0 && this.#traffic.findings.length === 0;
  }

  async #dial(): Promise<void> {
    const { lanes, signal } = this.#options;
    const startedAt = now();
    await this.#sender.alone(FIRST_BYTES, signal);
    const firstMs = now() - startedAt;
    if (await this.#lanesUp()) this.#watcher.step({ type: "lanes-up", lanes, firstMs, ms: now() - startedAt });
  }

  async #edges(): Promise<void> {
    for (const size of EDGE_SIZES) if (this.#goesOn) await this.#sender.alone(size, this.#options.signal);
    if (this.#goesOn) this.#watcher.step({ type: "edges", sizes: EDGE_SIZES });
  }

  async #stream(): Promise<void> {
    const { seconds, rate, signal } = this.#options;
    const startedAt = now();
    const before = this.#trafficMs;
    this.#lastProgress = this.#reading(startedAt);
    const watch = () => {
      this.#trafficMs = before + now() - startedAt;
      if (now() - this.#lastProgress.at >= PROGRESS_MS) this.#showProgress();
    };
    await this.#sender.stream(rate, (seconds * 1_000) / ACTS, signal, watch);
    await this.#sender.settle(signal);
    watch();
    this.#meter.sample(this.#lanes);
  }

  /** The network forgets one connection. The session lives on, and the client dials the lane again. */
  async #cutLane(): Promise<void> {
    const lane = this.#options.lanes >> 1;
    const startedAt = now();
    if (!this.#bed.cut(lane)) {
      this.#problems.push(`the server has no lane ${lane}`);
      return;
    }
    // Both ends have to notice first, or five open lanes would mean nothing.
    await until(() => this.#bed.openLanes < this.#options.lanes, LANES_UP_MS, this.#options.signal);
    if (await this.#lanesUp()) this.#watcher.step({ type: "lane-cut", lane, backMs: now() - startedAt });
  }

  async #moveSender(): Promise<void> {
    const from = this.#sender.port;
    await this.#sender.move();
    this.#watcher.step({ type: "moved", from, to: this.#sender.port });
  }

  /** What happened on the way must not have been visible to what stands behind the server. */
  #checkSession(): void {
    const sessions = this.#bed.server.status().sessions.length;
    if (sessions !== 1) this.#problems.push(`the server has ${sessions} sessions, expected 1`);
    const { peers } = this.#bed.echo;
    if (peers.size !== 1)
      this.#problems.push(`the echo saw ${peers.size} senders (${[...peers].join(", ")}), expected 1`);
  }

  async #lanesUp(): Promise<boolean> {
    const { lanes, signal } = this.#options;
    const up = await until(() => this.#bed.openLanes === lanes, LANES_UP_MS, signal);
    if (!up && !signal.aborted)
      this.#problems.push(`${this.#bed.openLanes} of ${lanes} lanes are up after ${LANES_UP_MS / 1_000} s`);
    this.#meter.sample(this.#lanes);
    return up;
  }

  get #lanes() {
    return this.#bed.client.status().sessions[0]?.lanes ?? [];
  }

  #reading(at: number) {
    this.#meter.sample(this.#lanes);
    const { back, sentBytes, backBytes } = this.#traffic;
    return { at, back, sentBytes, backBytes, lanes: this.#meter.lanes };
  }

  #showProgress(): void {
    const { sent, back, latencies } = this.#traffic;
    const last = this.#lastProgress;
    const reading = this.#reading(now());
    const mbit = (bytes: number) => (bytes * 8) / 1_000 / (reading.at - last.at);
    this.#watcher.progress({
      share: Math.min(1, this.#trafficMs / 1_000 / this.#options.seconds),
      seconds: this.#trafficMs / 1_000,
      sent,
      back,
      rttMs: latencies.summary(last.back).p50,
      mbitUp: mbit(reading.sentBytes - last.sentBytes),
      mbitDown: mbit(reading.backBytes - last.backBytes),
      lanes: reading.lanes.map((lane) => {
        const before = last.lanes.find(({ id }) => id === lane.id);
        return {
          id: lane.id,
          open: lane.open,
          mbitUp: mbit(lane.bytesUp - (before?.bytesUp ?? 0)),
          mbitDown: mbit(lane.bytesDown - (before?.bytesDown ?? 0)),
        };
      }),
    });
    this.#lastProgress = reading;
  }
}
