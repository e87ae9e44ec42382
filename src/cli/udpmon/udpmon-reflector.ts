import { startReflector } from "../../app/udpmon.ts";
import { parseAddress } from "../../config/address.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { ReflectorCounters } from "../../core/udpmon/reflector.ts";
import { serveReflectorMetrics } from "../../io/metrics/udpmon-metrics.ts";
import { addressFlag } from "../address-flag.ts";
import { type Command, parseFlags, refusePositionals } from "../command.ts";
import { durationFlag } from "../duration-flag.ts";
import { LOG_INTERVAL, udpmonLog } from "./udpmon-log.ts";

const FLAGS = {
  listen: { type: "string" },
  "metrics-listen": { type: "string" },
  "log-interval": { type: "string" },
} as const;

const DEFAULT_LISTEN = "127.0.0.1:7007";

const HELP = `ut udpmon reflector

Sends the probes of "ut udpmon probe" back to where they came from, and nothing else: an answer is never larger than its
probe, answers get none, and no address gets more than 1,100 a second. Ends with Ctrl-C or SIGTERM; writes JSON lines.

  -listen HOST:PORT      where it waits for probes (${DEFAULT_LISTEN}); 0.0.0.0:7007 lets other machines in
  -metrics-listen H:P    Prometheus metrics at http://H:P/metrics (none)
  -log-interval D        between two JSON lines (${LOG_INTERVAL.default})`;

export const udpmonReflector: Command = {
  name: "reflector",
  summary: "send probes back",
  help: HELP,
  async run(argv, terminal) {
    const flags = parseFlags(argv, FLAGS);
    refusePositionals("ut udpmon reflector", flags);
    const logEveryMs = durationFlag(flags, "log-interval", LOG_INTERVAL);
    const metricsListen = addressFlag(flags, "metrics-listen");
    const { signal } = terminal;
    using reflector = await startReflector(addressFlag(flags, "listen") ?? parseAddress(DEFAULT_LISTEN));
    await using disposal = new AsyncDisposableStack();
    const metrics =
      metricsListen === undefined ? undefined : disposal.use(serveReflectorMetrics(metricsListen, reflector.counters));
    const log = udpmonLog(terminal);
    log.info("udpmon_start", { listen: formatEndpoint(reflector.local), metrics: metrics?.url });
    const timer = setInterval(() => log.info("udpmon_reflector", fields(reflector.counters)), logEveryMs);
    disposal.defer(() => clearInterval(timer));
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    log.info("udpmon_summary", fields(reflector.counters));
    return 0;
  },
};

function fields({ received, echoed, refused }: ReflectorCounters): Record<string, number> {
  const { noProbe, answer, rate } = refused;
  return { received, echo: echoed, refused_no_probe: noProbe, refused_answer: answer, refused_rate: rate };
}
