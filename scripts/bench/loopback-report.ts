import type { Latency } from "./loopback-latency.ts";
import type { ManyClientsMemory, MemoryRow } from "./loopback-memory.ts";
import type { PathKind } from "./loopback-path.ts";
import type { LoadDirection, Throughput } from "./loopback-throughput.ts";
import { type Column, formatNumber, formatTable } from "./table.ts";

const NAMES: Record<PathKind, string> = {
  straight: "straight",
  forwarder: "bare UDP forwarder",
  ut: "ut",
  direct: "ut, direct",
};

/** One row a path; of several runs the middle one by datagrams per CPU-second. */
export function throughputLines(direction: LoadDirection, runs: readonly (readonly Throughput[])[]): string[] {
  const rows = runs.flatMap((of) => middle(of, (run) => run.perCpuSecond));
  const reference = rows.find(({ kind }) => kind === "forwarder");
  const against = (pick: (run: Throughput) => number) => (row: Throughput) =>
    reference === undefined || row === reference ? "" : `× ${formatNumber(pick(row) / pick(reference), 2)}`;
  const parts = (of: Readonly<Record<string, number>>, digits: number) =>
    Object.entries(of)
      .map(([name, value]) => `${name} ${formatNumber(value, digits)}`)
      .join(", ");
  const columns: Column<Throughput>[] = [
    { title: `lossless, ${direction}`, cell: ({ kind }) => NAMES[kind], align: "left" },
    { title: "datagrams/s", cell: ({ perSecond }) => formatNumber(perSecond) },
    { title: "Mbit/s", cell: ({ mbit }) => formatNumber(mbit) },
    { title: "loss %", cell: ({ lossPercent }) => formatNumber(lossPercent, 3) },
    { title: "per CPU-second", cell: ({ perCpuSecond }) => formatNumber(perCpuSecond) },
    { title: "", cell: against(({ perCpuSecond }) => perCpuSecond) },
    { title: "P50 ms", cell: ({ p50Ms }) => formatNumber(p50Ms, 2) },
    { title: "P99 ms", cell: ({ p99Ms }) => formatNumber(p99Ms, 2) },
    { title: "at twice the load", cell: ({ overloadedPerSecond }) => `${formatNumber(overloadedPerSecond)}/s` },
    { title: "CPU seconds", cell: ({ cpuSeconds }) => parts(cpuSeconds, 2), align: "left" },
    { title: "peak RSS, MiB", cell: ({ peakMiB }) => parts(peakMiB, 0), align: "left" },
  ];
  return formatTable(columns, rows);
}

/** One row a path, and what it adds to the straight way; of several runs the middle one by P99. */
export function latencyLines(
  direction: "up" | "down",
  load: { mbit: number; flows: number },
  runs: readonly (readonly Latency[])[],
  cgroupProblem: string | undefined,
): string[] {
  const rows = runs.flatMap((of) => middle(of, (run) => run.p99Ms));
  const straight = rows.find(({ kind }) => kind === "straight");
  const added = (pick: (run: Latency) => number) => (row: Latency) =>
    straight === undefined || row === straight ? "" : formatNumber(pick(row) - pick(straight), 2);
  const columns: Column<Latency>[] = [
    { title: `one way ${direction}`, cell: ({ kind }) => NAMES[kind], align: "left" },
    { title: "P50 ms", cell: ({ p50Ms }) => formatNumber(p50Ms, 2) },
    { title: "P95", cell: ({ p95Ms }) => formatNumber(p95Ms, 2) },
    { title: "P99", cell: ({ p99Ms }) => formatNumber(p99Ms, 2) },
    { title: "P99.9", cell: ({ p999Ms }) => formatNumber(p999Ms, 2) },
    { title: "max", cell: ({ maxMs }) => formatNumber(maxMs, 1) },
    { title: "added P50", cell: added(({ p50Ms }) => p50Ms) },
    { title: "P95", cell: added(({ p95Ms }) => p95Ms) },
    { title: "P99", cell: added(({ p99Ms }) => p99Ms) },
    { title: "lost", cell: ({ sent, count }) => formatNumber(sent - count) },
    { title: "sender late ms", cell: ({ lateMs }) => formatNumber(lateMs, 1) },
    { title: "CPU %", cell: ({ cpuPercent }) => cpuText(cpuPercent), align: "left" },
    { title: "throttled s", cell: ({ throttledSeconds }) => formatNumber(throttledSeconds, 2) },
  ];
  const limits =
    cgroupProblem === undefined ? "each process held to one core and 512 MiB" : `no limits: ${cgroupProblem}`;
  return [`${load.mbit} Mbit/s, ${load.flows} flows, ${limits}`, ...formatTable(columns, rows)];
}

export function memoryLines(
  load: { mbit: number; perSecond: number },
  rows: readonly MemoryRow[],
  many: ManyClientsMemory,
  cgroupProblem: string | undefined,
): string[] {
  const columns: Column<MemoryRow>[] = [
    { title: "peak RSS, MiB", cell: ({ name }) => name, align: "left" },
    { title: "idle", cell: ({ idle }) => formatNumber(idle.peakMiB, 1) },
    { title: "own", cell: ({ idle }) => formatNumber(idle.ownMiB, 1) },
    { title: "loaded", cell: ({ loaded }) => formatNumber(loaded.peakMiB, 1) },
    { title: "own", cell: ({ loaded }) => formatNumber(loaded.ownMiB, 1) },
  ];
  const limits =
    cgroupProblem === undefined ? "each process held to one core and 512 MiB" : `no limits: ${cgroupProblem}`;
  return [
    `one session: ${load.mbit} Mbit/s each way; many: ${formatNumber(load.perSecond)} datagrams/s to an echo; ${limits}`,
    ...formatTable(columns, [...rows, many]),
    `${many.clients * many.lanes} lanes were up after ${formatNumber(many.rampSeconds, 1)} s; ` +
      `${formatNumber(many.back)} of ${formatNumber(many.sent)} datagrams came back`,
  ];
}

function cpuText(cpuPercent: Readonly<Record<string, number>>): string {
  return Object.entries(cpuPercent)
    .map(([name, percent]) => `${name} ${formatNumber(percent)}`)
    .join(", ");
}

function middle<Run>(runs: readonly Run[], by: (run: Run) => number): Run[] {
  const sorted = [...runs].sort((one, other) => by(one) - by(other));
  return sorted.slice(sorted.length >> 1, (sorted.length >> 1) + 1);
}
