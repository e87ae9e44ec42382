import type { ArrivedStream } from "./loopback-native.ts";
import { LoopbackPath, type PathKind, type PathOptions } from "./loopback-path.ts";

export interface LatencyOptions extends PathOptions {
  readonly mbit: number;
  readonly flows: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface Latency extends ArrivedStream {
  readonly kind: PathKind;
  readonly direction: "up" | "down";
  readonly sent: number;
  /** Of the sender behind its own schedule: what the machine adds before anything is measured. */
  readonly lateMs: number;
  /** By process: share of one core, and how long the cgroup held it back. */
  readonly cpuPercent: Readonly<Record<string, number>>;
  readonly throttledSeconds: number;
}

/** Fine enough that datagrams leave one by one up to 10,000 a second. */
const TICK_US = 50;
const WARM_UP_SECONDS = 2;

/** One-way latency of a steady stream, each process of the path held to its limits. */
export async function measureLatency(
  kind: PathKind,
  direction: "up" | "down",
  options: LatencyOptions,
): Promise<Latency> {
  await using path = await LoopbackPath.open(kind, options);
  const perSecond = (options.mbit * 1e6) / 8 / options.bytes;
  const stream = { perSecond, bytes: options.bytes, flows: options.flows, tickUs: TICK_US };
  const [from, to] = direction === "up" ? [path.near, path.far] : [path.far, path.near];
  const warm = await from.send({ ...stream, seconds: WARM_UP_SECONDS });
  await warm.sent;

  const before = await path.usage();
  const { run, sent: end } = await from.send({ ...stream, seconds: options.seconds });
  const sent = await end;
  const arrived = await to.received(run, sent.count);
  const after = await path.usage();
  const cpuPercent = Object.entries(after).map(([name, { cpuSeconds }]) => [
    name,
    (100 * (cpuSeconds - (before[name]?.cpuSeconds ?? 0))) / options.seconds,
  ]);
  return {
    kind,
    direction,
    ...arrived,
    sent: sent.count,
    lateMs: sent.lateMs,
    cpuPercent: Object.fromEntries(cpuPercent),
    throttledSeconds: path.members.reduce((sum, { cgroup }) => sum + (cgroup?.throttled().seconds ?? 0), 0),
  };
}
