import { type ProbeOptions, startProber } from "../../app/udpmon.ts";
import { parseAddress } from "../../config/address.ts";
import { UtError } from "../../core/error.ts";
import { HEADER_BYTES, MAX_PROBE_BYTES } from "../../core/udpmon/probe-header.ts";
import { type ProberMetrics, serveProberMetrics } from "../../io/metrics/udpmon-metrics.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import { addressFlag } from "../address-flag.ts";
import { type Command, integerFlag, type ParsedFlags, parseFlags, refusePositionals, stringFlag } from "../command.ts";
import { durationFlag } from "../duration-flag.ts";
import { LOG_INTERVAL, logView } from "./udpmon-log.ts";
import { panelView } from "./udpmon-view.ts";

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
const INTERVAL = { min: "1ms", max: "1h", default: "1s" };
const TIMEOUT = { min: "1ms", max: "1m", default: "3s" };

const HELP = `ut udpmon probe -target HOST:PORT

Sends a UDP probe each interval and says what comes back: loss, round trip, jitter, duplicates, reordering. The target is
"ut udpmon reflector" or any UDP echo; through a tunnel it shows what the tunnel costs. Ends with Ctrl-C or SIGTERM.
On a terminal it draws; elsewhere it writes JSON lines.

  -target HOST:PORT      where the probes go
  -listen HOST:PORT      the own end (any address and port)
  -interval D            between two probes, ${INTERVAL.min} to ${INTERVAL.max} (${INTERVAL.default})
  -timeout D             an answer that takes longer is none, ${TIMEOUT.min} to ${TIMEOUT.max} (${TIMEOUT.default})
  -payload-bytes N       of each probe, ${HEADER_BYTES} to ${MAX_PROBE_BYTES} (32)
  -count N               end after so many probes (never)
  -metrics-listen H:P    Prometheus metrics at http://H:P/metrics (none)
  -log-interval D        between two JSON lines (${LOG_INTERVAL.default})
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
    const logEveryMs = durationFlag(flags, "log-interval", LOG_INTERVAL);
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
    intervalMs: durationFlag(flags, "interval", INTERVAL),
    timeoutMs: durationFlag(flags, "timeout", TIMEOUT),
    payloadBytes: integerFlag(flags, "payload-bytes", { min: HEADER_BYTES, max: MAX_PROBE_BYTES }) ?? 32,
    count: integerFlag(flags, "count", { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? Number.POSITIVE_INFINITY,
  };
}
