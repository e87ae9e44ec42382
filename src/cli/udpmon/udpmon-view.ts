import type { ProbeOptions } from "../../app/udpmon.ts";
import { formatAddress } from "../../config/address.ts";
import type { ProbeStats, ProbeSummary } from "../../core/udpmon/probe-stats.ts";
import type { ProberEvent } from "../../core/udpmon/prober.ts";
import type { Terminal } from "../command.ts";
import { bar, LivePanel } from "../live-panel.ts";
import { sparkline } from "../sparkline.ts";
import { formatMs, formatNumber } from "../table.ts";
import type { ProbeView } from "./probe-view.ts";

const REDRAW_MS = 250;
/** Probes whose round trips the live line shows. */
const SHOWN = 60;
const SPREAD_CELLS = 8;
const BAR_WIDTH = 40;

/** For who looks on: a line that lives, then figures and their picture. */
export function panelView(terminal: Terminal, options: ProbeOptions): ProbeView {
  const panel = new LivePanel(terminal);
  const last: (number | undefined)[] = [];
  return {
    everyMs: REDRAW_MS,
    begin(_local, metricsUrl) {
      panel.print(`Probing ${formatAddress(options.target)} every ${formatMs(options.intervalMs)} ms; Ctrl-C ends it`);
      if (metricsUrl !== undefined) panel.print(`Metrics at ${metricsUrl}/metrics`);
    },
    event(event: ProberEvent) {
      if (event.type === "done") return;
      last.push(event.type === "answered" ? event.rttMs : undefined);
      if (last.length > SHOWN) last.shift();
    },
    refresh: (stats) => panel.draw([sparkline(last), ...figures(stats.summary())]),
    end: (stats) => panel.print(formatProbes(stats).join("\n")),
  };
}

/** The result, for a person. */
export function formatProbes(stats: ProbeStats): string[] {
  return [...figures(stats.summary()), ...(stats.rtt.count === 0 ? [] : ["", ...spread(stats)])];
}

function figures({ sent, received, dropped, duplicates, reordered, unexpected, loss, rttMs, jitterMs }: ProbeSummary) {
  const lost = loss === null ? "" : ` (${formatNumber(loss * 100, 1)} %)`;
  const counts = `sent ${sent}, received ${received}, lost ${dropped}${lost}`;
  const oddities = `duplicates ${duplicates}, reordered ${reordered}, unexpected ${unexpected}`;
  if (rttMs === null) return [counts, oddities, "no answer so far"];
  const times = Object.entries(rttMs).map(([name, ms]) => `${name} ${formatMs(ms)}`);
  return [counts, oddities, `round trip in ms: ${times.join(", ")}; jitter ${formatMs(jitterMs)}`];
}

/** How many round trips were how long, in spans that grow. */
function spread({ rtt }: ProbeStats): string[] {
  const counts = rtt.min === rtt.max ? [rtt.count] : rtt.spread(SPREAD_CELLS);
  const most = Math.max(...counts);
  const least = Math.max(rtt.min, 0.001);
  const from = (cell: number) => formatMs(least * (rtt.max / least) ** (cell / counts.length));
  const width = Math.max(...counts.map((_, cell) => from(cell).length));
  return counts.map(
    (count, cell) => `${from(cell).padStart(width)} ms  ${bar(count / most, BAR_WIDTH)}  ${formatNumber(count)}`,
  );
}
