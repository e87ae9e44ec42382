import type { ProbeOptions } from "../../app/udpmon.ts";
import { formatAddress } from "../../config/address.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { ProbeSummary } from "../../core/udpmon/probe-stats.ts";
import { RttHistogram } from "../../core/udpmon/rtt-histogram.ts";
import { createLog, type Log } from "../../io/log/log.ts";
import type { Terminal } from "../command.ts";
import type { ProbeView } from "./probe-view.ts";

/** `-log-interval`. */
export const LOG_INTERVAL = { min: "100ms", max: "24h", default: "10s" };

/** The log of `ut udpmon`, on a terminal's stdout. */
export function udpmonLog({ out }: Terminal): Log {
  return createLog({ level: "info", role: "udpmon", destination: { write: (line) => out(line.trimEnd()) } });
}

/** For who does not: a JSON line each interval, and one at the end. */
export function logView(terminal: Terminal, options: ProbeOptions, everyMs: number): ProbeView {
  const target = formatAddress(options.target);
  const log = udpmonLog(terminal).child({ target });
  const { intervalMs, timeoutMs, payloadBytes } = options;
  let before = { sent: 0, received: 0, dropped: 0 };
  let rtt = new RttHistogram();
  return {
    everyMs,
    begin: (local, metrics) =>
      log.info("udpmon_start", {
        listen: formatEndpoint(local),
        interval_ms: intervalMs,
        timeout_ms: timeoutMs,
        payload_bytes: payloadBytes,
        metrics,
      }),
    event(event) {
      if (event.type === "answered") rtt.add(event.rttMs);
    },
    refresh(stats) {
      const { sent, received, dropped } = stats;
      log.info("udpmon_probe", {
        ...fields(stats.summary()),
        interval_sent: sent - before.sent,
        interval_received: received - before.received,
        interval_dropped: dropped - before.dropped,
        interval_p50_ms: rtt.count === 0 ? undefined : rounded(rtt.percentile(50)),
        interval_max_ms: rtt.count === 0 ? undefined : rounded(rtt.max),
      });
      before = { sent, received, dropped };
      rtt = new RttHistogram();
    },
    end: (stats) => log.info("udpmon_summary", fields(stats.summary())),
  };
}

function fields({ rttMs, jitterMs, loss, ...counts }: ProbeSummary): Record<string, unknown> {
  const times = Object.entries(rttMs ?? {}).map(([name, ms]) => [`rtt_${name}_ms`, rounded(ms)]);
  const share = loss === null ? undefined : rounded(loss);
  return { ...counts, loss: share, ...Object.fromEntries(times), jitter_ms: rounded(jitterMs) };
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
