import type { Measured } from "./measure.ts";
import type { Direction, Scenario } from "./scenarios.ts";
import { type Column, formatNumber, formatTable } from "./table.ts";

/** All runs of one scenario, direction and variant. */
export interface Row {
  scenario: string;
  direction: Direction;
  variant: string;
  runs: Measured[];
  median: Measured;
  /** Why the last failed run failed. */
  failure?: string;
}

/** One block of the report: the scenario, its table, and below it what each `ut` dropped and why. */
export function reportLines(scenario: Scenario, direction: Direction, rows: readonly Row[]): string[] {
  const straight = rows.find((row) => row.variant === "straight UDP");
  const columns = scenario.kind === "datagrams" ? datagramColumns : tcpColumns(straight);
  const title = `${scenario.name} ${direction} (${describe(scenario)}, ${scenario.link.lossPercent} % loss)`;
  const notes = rows.flatMap((row) => [...dropNotes(row), ...failureNotes(row)]);
  return [title, ...formatTable([name, ...columns, ...explanation], rows), ...notes];
}

function describe(scenario: Scenario): string {
  return scenario.kind === "datagrams"
    ? `${formatNumber(scenario.perSecond)}/s of ${formatNumber(scenario.bytes)} B`
    : `${scenario.flows} flow(s) of ${scenario.congestion} inside WireGuard`;
}

const name: Column<Row> = { title: "tunnel", cell: (row) => row.variant, align: "left" };

function column(title: string, key: string, digits = 0): Column<Row> {
  return { title, cell: (row) => formatNumber(row.median[key], digits) };
}

const datagramColumns: Column<Row>[] = [
  column("sent", "sent"),
  column("delivered", "delivered"),
  column("%", "deliveredPercent", 2),
  column("dup", "duplicates"),
  column("reord", "reordered"),
  column("P50 ms", "p50Ms", 1),
  column("P95", "p95Ms", 1),
  column("P99", "p99Ms", 1),
  column("max", "maxMs", 1),
];

function tcpColumns(straight: Row | undefined): Column<Row>[] {
  const ratio = (row: Row) => (row.median.mbit ?? Number.NaN) / (straight?.median.mbit ?? Number.NaN);
  return [
    column("Mbit/s", "mbit", 1),
    { title: "of UDP", cell: (row) => formatNumber(ratio(row), 2) },
    column("RTT ms", "rttMs", 1),
    column("max", "maxRttMs", 0),
    column("retrans", "retransmits"),
  ];
}

/** CPU in seconds of client and server, how busy the machine was, what the link dropped. */
const explanation: Column<Row>[] = [
  column("cpu c", "clientCpu", 2),
  column("cpu s", "serverCpu", 2),
  column("busy %", "machineBusyPercent"),
  column("lost", "linkLost"),
  column("tail", "linkTailDropped"),
  column("peak q", "linkPeakQueue"),
];

/** Every counter of drops, errors and reconnects that moved, of both ends. */
function dropNotes(row: Row): string[] {
  const told = Object.entries(row.median)
    .filter(([key, value]) => value !== 0 && /ut_(udp_drop|frame_err|lane_reconnect|tls_handshake_fail)/.test(key))
    .map(([key, value]) => `${key.replace(/ut_|_total/g, "")} ${formatNumber(value)}`);
  return told.length === 0 ? [] : [`  ${row.variant}: ${told.join(", ")}`];
}

/** The end of the story is where the cause stands; the whole of it is in the JSON. */
function failureNotes(row: Row): string[] {
  return row.failure === undefined ? [] : [`  ${row.variant} FAILED: ${row.failure.slice(-800)}`];
}
