import type { DemoProgress, DemoReport, DemoStep, LaneSpeed } from "../app/demo/demo.ts";
import { bar } from "./live-panel.ts";
import { formatMs, formatNumber, formatTable } from "./table.ts";

const BAR_WIDTH = 40;
const LANE_BAR_WIDTH = 24;

export const DEMO_TITLE = `ut demo: datagrams through real mutual-TLS lanes, all on this machine

  sender ─UDP→ ut client ══ lanes ══ network ══ lanes ══ ut server ─UDP→ echo, and all the way back
`;

/** One line for what has just been done. */
export function formatStep(step: DemoStep): string {
  switch (step.type) {
    case "certificates":
      return `✓ throw-away CA and two certificates, in memory only (${formatMs(step.ms)} ms)`;
    case "listening":
      return `✓ client on UDP ${step.client}, server on TCP ${step.server}, echo on UDP ${step.echo}, all on 127.0.0.1`;
    case "lanes-up":
      return `✓ the first datagram dialled: back after ${formatMs(step.firstMs)} ms, ${lanes(step.lanes)} up after ${formatMs(step.ms)} ms`;
    case "edges":
      return `✓ single datagrams of ${step.sizes.map((size) => formatNumber(size)).join(" ")} bytes came back unchanged`;
    case "lane-cut":
      return `✓ lane ${step.lane} was reset by the network: dialled again and up after ${formatMs(step.backMs)} ms, same session`;
    case "moved":
      return `✓ the sender moved from UDP ${step.from} to ${step.to}, as WireGuard may: answers follow it`;
    default:
      return step satisfies never;
  }
}

/** The panel of a terminal: a bar, the counts, one line for each lane. */
export function progressPanel(progress: DemoProgress, seconds: number): string[] {
  const fastest = Math.max(...progress.lanes.map(bothWays), Number.MIN_VALUE);
  return [
    "",
    `${bar(progress.share, BAR_WIDTH)} ${percent(progress.share)}  ${progress.seconds.toFixed(1)} of ${seconds} s`,
    `sent ${formatNumber(progress.sent)}  back ${formatNumber(progress.back)}  ` +
      `under way ${formatNumber(progress.sent - progress.back)}  RTT ${formatMs(progress.rttMs)} ms  ` +
      `↑ ${formatNumber(progress.mbitUp, 1)}  ↓ ${formatNumber(progress.mbitDown, 1)} Mbit/s`,
    "",
    ...progress.lanes.map((lane) =>
      lane.open
        ? `lane ${`${lane.id}`.padStart(2)} ${bar(bothWays(lane) / fastest, LANE_BAR_WIDTH)} ↑ ${formatNumber(lane.mbitUp, 1)}  ↓ ${formatNumber(lane.mbitDown, 1)} Mbit/s`
        : `lane ${`${lane.id}`.padStart(2)} down`,
    ),
  ];
}

/** The same in one line, for a pipe or a log. */
export function progressLine(progress: DemoProgress, seconds: number): string {
  const speeds = progress.lanes.map((lane) => (lane.open ? formatNumber(bothWays(lane), 1) : "down")).join(" ");
  return (
    `${percent(progress.share)}  ${progress.seconds.toFixed(1)} of ${seconds} s  sent ${formatNumber(progress.sent)}  ` +
    `back ${formatNumber(progress.back)}  RTT ${formatMs(progress.rttMs)} ms  ` +
    `up ${formatNumber(progress.mbitUp, 1)}  down ${formatNumber(progress.mbitDown, 1)} Mbit/s  lanes ${speeds}`
  );
}

/** The table and the verdict. */
export function formatReport(report: DemoReport): string {
  return ["", ...reportTable(report), "", ...verdict(report)].join("\n");
}

interface Row {
  readonly name: string;
  readonly sent: number;
  readonly back: number;
  /** Of the whole only: a lane that works has no loss of its own, and its datagrams no round trip of its own. */
  readonly whole: DemoReport | undefined;
  readonly mbitUp: number;
  readonly mbitDown: number;
}

function reportTable(report: DemoReport): string[] {
  const mbit = (bytes: number) => (bytes * 8) / 1e6 / report.seconds;
  const rows: Row[] = [
    {
      name: "all",
      sent: report.sent,
      back: report.back,
      whole: report,
      mbitUp: mbit(report.sentBytes),
      mbitDown: mbit(report.backBytes),
    },
    ...report.lanes.map((lane) => ({
      name: `lane ${lane.id}`,
      sent: lane.packetsUp,
      back: lane.packetsDown,
      whole: undefined,
      mbitUp: mbit(lane.bytesUp),
      mbitDown: mbit(lane.bytesDown),
    })),
  ];
  const ofWhole = (text: (whole: DemoReport) => string) => (row: Row) => (row.whole ? text(row.whole) : "");
  return formatTable<Row>(
    [
      { title: "", cell: ({ name }) => name, align: "left" },
      { title: "sent", cell: ({ sent }) => formatNumber(sent) },
      { title: "received", cell: ({ back }) => formatNumber(back) },
      { title: "loss", cell: ofWhole(({ lost, sent }) => `${formatNumber(sent > 0 ? (100 * lost) / sent : 0, 2)} %`) },
      { title: "P50 ms", cell: ofWhole(({ rttMs }) => formatNumber(rttMs.p50, 2)) },
      { title: "P95 ms", cell: ofWhole(({ rttMs }) => formatNumber(rttMs.p95, 2)) },
      { title: "P99 ms", cell: ofWhole(({ rttMs }) => formatNumber(rttMs.p99, 2)) },
      { title: "Mbit/s up", cell: ({ mbitUp }) => formatNumber(mbitUp, 1) },
      { title: "Mbit/s down", cell: ({ mbitDown }) => formatNumber(mbitDown, 1) },
    ],
    rows,
  );
}

function verdict(report: DemoReport): string[] {
  if (report.interrupted) return ["Interrupted; the counts above are what had happened by then."];
  if (report.ok) return [`✓ all ${formatNumber(report.sent)} datagrams came back, every byte as it was sent`];
  const counts = [
    [report.lost, "lost"],
    [report.changed, "changed"],
    [report.surplus, "not asked for"],
  ] as const;
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${formatNumber(count)} ${what}`);
  return [
    `✗ not every datagram came back as it was sent${told.length > 0 ? `: ${told.join(", ")}` : ""} (seed ${report.seed})`,
    ...report.problems.map((problem) => `  ${problem}`),
    ...(report.log.length > 0 ? ["  the last lines of both logs:", ...report.log.map((line) => `    ${line}`)] : []),
  ];
}

function bothWays(lane: LaneSpeed): number {
  return lane.mbitUp + lane.mbitDown;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`.padStart(5);
}

function lanes(count: number): string {
  return count === 1 ? "1 lane" : `${count} lanes`;
}
