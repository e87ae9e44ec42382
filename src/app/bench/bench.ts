import { UtError } from "../../core/error.ts";
import type { LatencySummary } from "../latencies.ts";
import { throwAwayIdentities } from "../loopback.ts";
import { tick } from "../wait.ts";
import { BenchChild } from "./bench-child.ts";
import { BenchLoad, type LoadResult } from "./bench-load.ts";
import type { BenchPart } from "./bench-worker.ts";

export interface BenchOptions {
  /** Of each of the six measurements. */
  readonly seconds: number;
  /** Of every datagram, bytes. */
  readonly size: number;
  readonly lanes: number;
  /** Command line that runs `runBenchWorker` in a process of its own. */
  readonly worker: readonly string[];
  readonly signal: AbortSignal;
}

/** What carries the datagrams from the load to the echo and back. */
export type BenchPath = "forwarder" | "ut";
/** All that goes through; few, for the latency alone; half of what went through `ut`. */
export type BenchMeasurement = "saturated" | "light" | "half";

export interface BenchWatcher {
  measuring(path: BenchPath, measurement: BenchMeasurement): void;
}

/** Counts are of round trips: each datagram crosses the path twice. */
export interface PathReport {
  readonly path: BenchPath;
  readonly saturated: Measured;
  readonly light: Measured;
  readonly half: Measured;
  /** By process, at the end. */
  readonly rssBytes: Readonly<Record<string, number>>;
}

export interface Measured {
  readonly sent: number;
  readonly back: number;
  readonly seconds: number;
  readonly rttMs: LatencySummary;
  /** Of the processes of the path, in both directions; the load and the echo are not in it. */
  readonly cpuSeconds: number;
}

export interface BenchReport {
  readonly interrupted: boolean;
  readonly size: number;
  readonly lanes: number;
  readonly seconds: number;
  /** Datagrams a second of `half`, on both paths. */
  readonly halfRate: number;
  /** Without those that an interrupt left out. */
  readonly paths: readonly PathReport[];
}

/** Fewer than the smallest receive buffer of a UDP socket holds, so that saturation loses nothing by itself. */
const WINDOW_PACKETS = 64;
/** One now and then: nothing is warm and nothing waits. */
const LIGHT_PER_SECOND = 200;
const READY_MS = 10_000;
const WARM_UP_MS = 500;
const LANES_UP_MS = 200;

/**
 * Throughput, CPU per datagram and latency of both roles on this machine, beside a bare UDP forwarder under the same
 * load. Client, server, forwarder and echo are processes of their own, so that CPU time is theirs alone. Throws
 * `bench.failed` when a process cannot start or nothing comes through.
 */
export async function runBench(options: BenchOptions, watcher: BenchWatcher): Promise<BenchReport> {
  await using parts = new AsyncDisposableStack();
  const start = async (what: BenchPart) => parts.use(await BenchChild.start(options.worker, what));
  const echo = await start({ part: "echo" });
  const identities = await throwAwayIdentities();
  const forwarder = await start({ part: "forwarder", targetPort: echo.port });
  const server = await start({ part: "server", identity: identities.server, targetPort: echo.port });
  const { client: identity } = identities;
  const client = await start({ part: "client", identity, serverPort: server.port, lanes: options.lanes });

  const paths: Path[] = [];
  for (const [name, entry, processes] of [
    ["forwarder", forwarder, [forwarder]],
    ["ut", client, [client, server]],
  ] as const)
    paths.push(new Path(name, parts.use(await BenchLoad.open(entry.port, options.size)), processes, options, watcher));
  for (const path of paths) await path.warmUp();
  for (const path of paths) await path.saturate();
  const halfRate = Math.max(1, Math.round((paths.at(-1)?.throughput ?? 0) / 2));
  for (const path of paths) await path.pace("light", LIGHT_PER_SECOND);
  for (const path of paths) await path.pace("half", halfRate);
  return {
    interrupted: options.signal.aborted,
    size: options.size,
    lanes: options.lanes,
    seconds: options.seconds,
    halfRate,
    paths: options.signal.aborted ? [] : await Promise.all(paths.map((path) => path.report())),
  };
}

const NOT_MEASURED: Measured = {
  sent: 0,
  back: 0,
  seconds: 0,
  cpuSeconds: 0,
  rttMs: { count: 0, p50: Number.NaN, p95: Number.NaN, p99: Number.NaN, max: Number.NaN },
};

class Path {
  readonly #name: BenchPath;
  readonly #load: BenchLoad;
  readonly #processes: readonly BenchChild[];
  readonly #options: BenchOptions;
  readonly #watcher: BenchWatcher;
  readonly #results: Record<BenchMeasurement, Measured> = {
    saturated: NOT_MEASURED,
    light: NOT_MEASURED,
    half: NOT_MEASURED,
  };

  constructor(
    name: BenchPath,
    load: BenchLoad,
    processes: readonly BenchChild[],
    options: BenchOptions,
    watcher: BenchWatcher,
  ) {
    this.#name = name;
    this.#load = load;
    this.#processes = processes;
    this.#options = options;
    this.#watcher = watcher;
  }

  /** Round trips a second when saturated. */
  get throughput(): number {
    const { back, seconds } = this.#results.saturated;
    return seconds > 0 ? back / seconds : 0;
  }

  /** The first datagram dials; what is measured later finds all lanes up and the code compiled. */
  async warmUp(): Promise<void> {
    const { signal } = this.#options;
    if (!(await this.#load.knock(READY_MS, signal)) && !signal.aborted)
      throw new UtError("bench.failed", `Nothing came back through the ${this.#name} within ${READY_MS / 1_000} s`);
    await tick(LANES_UP_MS);
    await this.#load.saturate(WINDOW_PACKETS, WARM_UP_MS, signal);
  }

  async saturate(): Promise<void> {
    await this.#measure("saturated", (durationMs, signal) => this.#load.saturate(WINDOW_PACKETS, durationMs, signal));
  }

  async pace(measurement: "light" | "half", perSecond: number): Promise<void> {
    await this.#measure(measurement, (durationMs, signal) => this.#load.pace(perSecond, durationMs, signal));
  }

  async report(): Promise<PathReport> {
    const rss = this.#processes.map(async (child) => [child.name, (await child.usage()).rssBytes] as const);
    return { path: this.#name, ...this.#results, rssBytes: Object.fromEntries(await Promise.all(rss)) };
  }

  async #measure(
    measurement: BenchMeasurement,
    run: (durationMs: number, signal: AbortSignal) => Promise<LoadResult>,
  ): Promise<void> {
    const { seconds, signal } = this.#options;
    if (signal.aborted) return;
    this.#watcher.measuring(this.#name, measurement);
    const before = await this.#cpuSeconds();
    const result = await run(seconds * 1_000, signal);
    this.#results[measurement] = { ...result, cpuSeconds: (await this.#cpuSeconds()) - before };
  }

  async #cpuSeconds(): Promise<number> {
    const usages = await Promise.all(this.#processes.map((child) => child.usage()));
    return usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  }
}
