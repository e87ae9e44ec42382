import type { ArrivedStream, SentStream } from "./loopback-native.ts";
import { LoopbackPath, type PathKind, type PathOptions } from "./loopback-path.ts";

export type LoadDirection = "up" | "down" | "both";

export interface ThroughputOptions extends PathOptions {
  readonly bytes: number;
  /** Of the run that counts; the search for the right load takes shorter ones. */
  readonly seconds: number;
}

/** The largest load that goes through without loss, and what it costs. Datagrams of both directions together. */
export interface Throughput {
  readonly kind: PathKind;
  readonly direction: LoadDirection;
  /** Datagrams a second that arrived. */
  readonly perSecond: number;
  readonly mbit: number;
  readonly lossPercent: number;
  /** Of client and server, or of the forwarder. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly perCpuSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** With twice the load: what still arrives. Undefined where the search never met a limit. */
  readonly overloadedPerSecond: number;
  readonly peakMiB: Readonly<Record<string, number>>;
}

/** Loss that passes for none: a machine that others use drops some for reasons of its own. */
const LOSSLESS_PERCENT = 0.1;
const SEARCH_SECONDS = 1;
const FIRST_PER_SECOND = 20_000;
const LARGEST_PER_SECOND = 1_000_000;
const STEPS_BACK = 5;
const STEP_BACK = 0.85;
/** Steps of a doubling search, then of a finer one. */
const REFINEMENTS = 3;
/** Often enough that a batch stays below what one read takes, seldom enough that waking up costs little. */
const TICK_US = 200;

/** Steps the load up until datagrams get lost, and measures a little below. */
export async function measureThroughput(
  kind: PathKind,
  direction: LoadDirection,
  options: ThroughputOptions,
): Promise<Throughput> {
  await using path = await LoopbackPath.open(kind, options);
  const offer = (perSecond: number, seconds: number) => runLoad(path, direction, perSecond, options.bytes, seconds);
  await offer(FIRST_PER_SECOND, SEARCH_SECONDS);
  let perSecond = await largestLossless((rate) => offer(rate, SEARCH_SECONDS));
  let before = await path.usage();
  let load = await offer(perSecond, options.seconds);
  // What went through for a second may be too much for several.
  for (let attempt = 0; attempt < STEPS_BACK && load.lossPercent > LOSSLESS_PERCENT; attempt++) {
    perSecond *= STEP_BACK;
    before = await path.usage();
    load = await offer(perSecond, options.seconds);
  }
  const after = await path.usage();
  const cpuSeconds = Object.fromEntries(
    Object.entries(after).map(([name, usage]) => [name, usage.cpuSeconds - (before[name]?.cpuSeconds ?? 0)]),
  );
  const cpu = Object.values(cpuSeconds).reduce((sum, seconds) => sum + seconds, 0);
  const overloaded = await offer(2 * perSecond, SEARCH_SECONDS);
  return {
    kind,
    direction,
    perSecond: load.arrivedPerSecond,
    mbit: (load.arrivedPerSecond * options.bytes * 8) / 1e6,
    lossPercent: load.lossPercent,
    cpuSeconds,
    perCpuSecond: load.arrived / cpu,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    overloadedPerSecond: overloaded.arrivedPerSecond,
    peakMiB: Object.fromEntries(Object.entries(after).map(([name, usage]) => [name, usage.peakMiB])),
  };
}

async function largestLossless(offer: (perSecond: number) => Promise<Load>): Promise<number> {
  const passes = async (rate: number) => (await offer(rate)).lossPercent <= LOSSLESS_PERCENT;
  let good = FIRST_PER_SECOND / 4;
  let bad = FIRST_PER_SECOND;
  while (bad < LARGEST_PER_SECOND && (await passes(bad))) {
    good = bad;
    bad *= 2;
  }
  for (let step = 0; step < REFINEMENTS; step++) {
    const middle = (good + bad) / 2;
    if (await passes(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

interface Load {
  readonly arrived: number;
  readonly arrivedPerSecond: number;
  readonly lossPercent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** `perSecond` in each direction that is asked for. */
async function runLoad(
  path: LoopbackPath,
  direction: LoadDirection,
  perSecond: number,
  bytes: number,
  seconds: number,
): Promise<Load> {
  const stream = { perSecond, seconds, bytes, flows: 1, tickUs: TICK_US };
  const pairs = [
    { from: path.near, to: path.far, runs: direction !== "down" },
    { from: path.far, to: path.near, runs: direction !== "up" },
  ].filter(({ runs }) => runs);
  const results = await Promise.all(
    pairs.map(async ({ from, to }) => {
      const { run, sent: end } = await from.send(stream);
      const sent = await end;
      return { sent, arrived: await to.received(run, sent.count) };
    }),
  );
  return summarize(results, seconds);
}

function summarize(results: readonly { sent: SentStream; arrived: ArrivedStream }[], seconds: number): Load {
  const sum = (pick: (result: (typeof results)[number]) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  const arrived = sum(({ arrived }) => arrived.count);
  return {
    arrived,
    // What waited at the end arrives later: the time until then counts, or a queue would look like throughput.
    arrivedPerSecond: sum(({ arrived }) => arrived.count / Math.max(seconds, arrived.seconds)),
    lossPercent: 100 * (1 - arrived / sum(({ sent }) => sent.count)),
    p50Ms: Math.max(...results.map(({ arrived }) => arrived.p50Ms)),
    p99Ms: Math.max(...results.map(({ arrived }) => arrived.p99Ms)),
  };
}
