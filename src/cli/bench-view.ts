import type { BenchMeasurement, BenchPath, BenchReport, Measured, PathReport } from "../app/bench/bench.ts";
import { type Column, formatNumber, formatTable } from "./table.ts";

const PATHS: Record<BenchPath, string> = { forwarder: "bare UDP forwarder", ut: "ut" };
const MEASUREMENTS: Record<BenchMeasurement, string> = {
  saturated: "as much as goes through",
  light: "latency under a light load",
  half: "latency under half of ut's full load",
};

/** What is being measured now. */
export function formatMeasuring(path: BenchPath, measurement: BenchMeasurement): string {
  return `measuring ${PATHS[path]}: ${MEASUREMENTS[measurement]} …`;
}

/** The table, and what it does not say by itself. */
export function formatBench(report: BenchReport): string {
  if (report.interrupted) return "Interrupted; nothing was measured to its end.";
  const { size, lanes, seconds, paths } = report;
  const [reference, ut] = paths;
  return [
    "",
    `${formatNumber(size)} B datagrams to an echo and back, ${lanes} lanes, ${seconds} s each, all on this machine`,
    "",
    ...formatTable(columns(reference, ut), rows(report)),
    "",
    "Each datagram crosses the path twice. CPU is user and system time of the path's own processes: the forwarder is one,",
    "ut is two, client and server. Load and echo run on the same cores, so throughput says less than CPU per datagram.",
  ].join("\n");
}

interface Row {
  readonly name: string;
  readonly value: (path: PathReport) => number;
  readonly digits: number;
  /** What comes out of comparing: a factor, or a difference for latencies. */
  readonly compare: "ratio" | "difference" | "none";
}

function rows(report: BenchReport): Row[] {
  const { size } = report;
  const load = `at ${formatNumber(report.halfRate)}/s`;
  return [
    { name: "datagrams/s, each way", value: ({ saturated }) => rate(saturated), digits: 0, compare: "ratio" },
    {
      name: "Mbit/s, each way",
      value: ({ saturated }) => (rate(saturated) * size * 8) / 1e6,
      digits: 0,
      compare: "ratio",
    },
    {
      name: "CPU µs per datagram",
      value: ({ saturated }) => 1e6 / perCpuSecond(saturated),
      digits: 1,
      compare: "ratio",
    },
    {
      name: "datagrams per CPU-second",
      value: ({ saturated }) => perCpuSecond(saturated),
      digits: 0,
      compare: "ratio",
    },
    ...latencyRows("light load", "light"),
    ...latencyRows(load, "half"),
    { name: `lost, % ${load}`, value: ({ half }) => 100 * (1 - half.back / half.sent), digits: 2, compare: "none" },
    { name: "memory, MiB", value: ({ rssBytes }) => largest(rssBytes) / 2 ** 20, digits: 0, compare: "none" },
  ];
}

function latencyRows(load: string, measurement: "light" | "half"): Row[] {
  return (["p50", "p95", "p99"] as const).map((percentile) => ({
    name: `RTT ${percentile.toUpperCase()} ms, ${load}`,
    value: (path) => path[measurement].rttMs[percentile],
    digits: 2,
    compare: "difference",
  }));
}

function columns(reference: PathReport | undefined, ut: PathReport | undefined): Column<Row>[] {
  const cell = (path: PathReport | undefined) => (row: Row) => (path ? formatNumber(row.value(path), row.digits) : "");
  return [
    { title: "", cell: ({ name }) => name, align: "left" },
    { title: "bare UDP forwarder", cell: cell(reference) },
    { title: "ut", cell: cell(ut) },
    {
      title: "ut against it",
      cell: (row) => (reference && ut ? comparison(row, row.value(reference), row.value(ut)) : ""),
    },
  ];
}

function comparison(row: Row, reference: number, ut: number): string {
  switch (row.compare) {
    case "ratio":
      return `× ${formatNumber(ut / reference, 2)}`;
    case "difference":
      return `${ut >= reference ? "+" : "−"} ${formatNumber(Math.abs(ut - reference), row.digits)}`;
    case "none":
      return "";
    default:
      return row.compare satisfies never;
  }
}

/** Round trips a second: what goes each way. */
function rate({ back, seconds }: Measured): number {
  return back / seconds;
}

function perCpuSecond({ back, cpuSeconds }: Measured): number {
  return (2 * back) / cpuSeconds;
}

function largest(bytes: Readonly<Record<string, number>>): number {
  return Math.max(...Object.values(bytes));
}
