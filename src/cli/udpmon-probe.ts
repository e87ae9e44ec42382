import { type ProbeOptions, startProber } from "../app/udpmon.ts";
import { type Address, parseAddress } from "../config/address.ts";
import { UtError } from "../core/error.ts";
import type { Endpoint } from "../core/net/endpoint.ts";
import { HEADER_BYTES, MAX_PROBE_BYTES } from "../core/udpmon/probe-header.ts";
import type { ProbeStats } from "../core/udpmon/probe-stats.ts";
import type { ProberEvent } from "../core/udpmon/prober.ts";
import { type ProberMetrics, serveProberMetrics } from "../io/udpmon-metrics.ts";
import { unlessAborted } from "../io/unless-aborted.ts";
import { type Command, integerFlag, type ParsedFlags, parseFlags, refusePositionals, stringFlag } from "./command.ts";
import { parseDuration } from "./duration.ts";
import { logView } from "./udpmon-log.ts";
import { panelView } from "./udpmon-view.ts";

/** What the user of a prober sees. */
export interface ProbeView {
  begin(local: Endpoint, metricsUrl: string | undefined): void;
  /** How often it wants to be refreshed. */
  readonly everyMs: number;
  event(event: ProberEvent): void;
  refresh(stats: ProbeStats): void;
  end(stats: ProbeStats): void;
}

const FLAGS = {
  target: { type: "string" },
  listen: { type: "string" },
  interval: { type: "string" },
  timeout: { type: "string" },
  "payload-bytes": { type: "string" },
  count: { type: "string" },
  "metrics-listen": { type: "string" },
  "log-interval": { type: "string" },
  json: { type: "boolean" },
} as const;

/** With the shortest interval it bounds the probes that are remembered to 60,000. */
const INTERVAL = { min: "1ms", max: "1h" };
const TIMEOUT = { min: "1ms", max: "1m" };
const LOG_INTERVAL = { min: "100ms", max: "24h" };

const HELP = `ut udpmon probe -target HOST:PORT

Sends a UDP probe each interval and says what comes back: loss, round trip, jitter, duplicates, reordering. The target is
"ut udpmon reflector" or any UDP echo; through a tunnel it shows what the tunnel costs. Ends with Ctrl-C or SIGTERM.
On a terminal it draws; elsewhere it writes JSON lines.

  -target HOST:PORT      where the probes go
  -listen HOST:PORT      the own end (any address and port)
  -interval D            between two probes, ${INTERVAL.min} to ${INTERVAL.max} (1s)
  -timeout D             an answer that takes longer is none, ${TIMEOUT.min} to ${TIMEOUT.max} (3s)
  -payload-bytes N       of each probe, ${HEADER_BYTES} to ${MAX_PROBE_BYTES} (32)
  -count N               end after so many probes (never)
  -metrics-listen H:P    Prometheus metrics at http://H:P/metrics (none)
  -log-interval D        between two JSON lines (10s)
  -json                  JSON lines on a terminal, too

Exit code: 0 something came back, 1 nothing did.`;

const EXIT_FAILED = 1;

export const udpmonProbe: Command = {
  name: "probe",
  summary: "send probes and say what comes back",
  help: HELP,
  async run(argv, terminal) {
    const flags = parseFlags(argv, FLAGS);
    refusePositionals("ut udpmon probe", flags);
    const options = readOptions(flags);
    const logEveryMs = parseDuration("log-interval", stringFlag(flags, "log-interval") ?? "10s", LOG_INTERVAL);
    const metricsListen = addressFlag(flags, "metrics-listen");
    const isDrawn = terminal.interactive && flags.values.json !== true;
    const view = isDrawn ? panelView(terminal, options) : logView(terminal, options, logEveryMs);
    const done = Promise.withResolvers<void>();
    let metrics: ProberMetrics | undefined;
    using prober = await startProber(options, (event) => {
      view.event(event);
      if (event.type === "answered") metrics?.observe(event.rttMs);
      if (event.type === "done") done.resolve();
    });
    await using disposal = new AsyncDisposableStack();
    if (metricsListen !== undefined) metrics = disposal.use(serveProberMetrics(metricsListen, prober.stats));
    view.begin(prober.local, metrics?.url);
    const timer = setInterval(() => view.refresh(prober.stats), view.everyMs);
    disposal.defer(() => clearInterval(timer));
    await unlessAborted(done.promise, terminal.signal);
    view.end(prober.stats);
    return prober.stats.received > 0 ? 0 : EXIT_FAILED;
  },
};

function readOptions(flags: ParsedFlags): ProbeOptions {
  const target = stringFlag(flags, "target");
  if (target === undefined) throw new UtError("usage.bad-flag", "Missing -target HOST:PORT: where the probes go");
  return {
    target: parseAddress(target, "target"),
    listen: addressFlag(flags, "listen"),
    intervalMs: parseDuration("interval", stringFlag(flags, "interval") ?? "1s", INTERVAL),
    timeoutMs: parseDuration("timeout", stringFlag(flags, "timeout") ?? "3s", TIMEOUT),
    payloadBytes: integerFlag(flags, "payload-bytes", { min: HEADER_BYTES, max: MAX_PROBE_BYTES }) ?? 32,
    count: integerFlag(flags, "count", { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? Number.POSITIVE_INFINITY,
  };
}

/** A flag that names where to listen. */
export function addressFlag(flags: ParsedFlags, name: string): Address | undefined {
  const text = stringFlag(flags, name);
  return text === undefined ? undefined : parseAddress(text, "listen");
}
