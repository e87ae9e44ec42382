import { Histogram, Registry } from "prom-client";
import type { ProbeStats } from "../../core/udpmon/probe-stats.ts";
import type { ReflectorCounters } from "../../core/udpmon/reflector.ts";
import { formatHost, listenHttp } from "../http/http-listen.ts";
import { computedMetric } from "./computed-metric.ts";

/** From a neighbour's to what is no conversation any more. */
const RTT_BUCKETS_SECONDS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface UdpmonMetrics extends AsyncDisposable {
  /** Where they are, with the port that was really bound. */
  readonly url: string;
}

export interface ProberMetrics extends UdpmonMetrics {
  observe(rttMs: number): void;
}

type Listen = { readonly host: string; readonly port: number };

/** `/metrics` and `/healthz` of a prober. Throws `io.bind`. */
export function serveProberMetrics(listen: Listen, stats: ProbeStats): ProberMetrics {
  const registry = new Registry();
  const count = (name: string, help: string, value: () => number) => counter(registry, `probe_${name}`, help, value);
  count("sent", "Probes that were sent", () => stats.sent);
  count("received", "Probes that were answered in time", () => stats.received);
  count("dropped", "Probes that were not answered in time", () => stats.dropped);
  count("unexpected", "Datagrams that came too late, or answer no probe", () => stats.unexpected);
  count("duplicates", "Answers that had come already", () => stats.duplicates);
  count("reordered", "Answers that came after one to a later probe", () => stats.reordered);
  registry.registerMetric(
    computedMetric({
      name: "udpmon_probe_jitter_seconds",
      help: "Deviation of the round trip from one answer to the next, smoothed as in RFC 3550",
      type: "gauge",
      samples: () => [{ labels: {}, value: stats.jitterMs / 1_000 }],
    }),
  );
  const rtt = new Histogram({
    name: "udpmon_probe_rtt_seconds",
    help: "Round trips of the probes that were answered in time",
    buckets: RTT_BUCKETS_SECONDS,
    registers: [registry],
  });
  return { ...serve(listen, registry), observe: (rttMs) => rtt.observe(rttMs / 1_000) };
}

/** `/metrics` and `/healthz` of a reflector. Throws `io.bind`. */
export function serveReflectorMetrics(listen: Listen, counters: ReflectorCounters): UdpmonMetrics {
  const registry = new Registry();
  counter(registry, "reflector_received", "Datagrams that came", () => counters.received);
  counter(registry, "reflector_echo", "Probes that were sent back", () => counters.echoed);
  return serve(listen, registry);
}

function counter(registry: Registry, name: string, help: string, value: () => number): void {
  const samples = () => [{ labels: {}, value: value() }];
  registry.registerMetric(computedMetric({ name: `udpmon_${name}_total`, help, type: "counter", samples }));
}

function serve(listen: Listen, registry: Registry): UdpmonMetrics {
  const text = (status: number, body: string, contentType = "text/plain; charset=utf-8") =>
    new Response(body, { status, headers: { "Content-Type": contentType, "Cache-Control": "no-store" } });
  const server = listenHttp({
    listen,
    setting: "--metrics-listen",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET" && request.method !== "HEAD") return text(405, "Only GET and HEAD\n");
      if (pathname === "/metrics") return text(200, await registry.metrics(), registry.contentType);
      return pathname === "/healthz" ? text(200, "ok\n") : text(404, "There is /metrics and /healthz\n");
    },
    failed: () => text(500, "Internal error\n"),
  });
  return {
    url: `http://${formatHost(listen.host)}:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
