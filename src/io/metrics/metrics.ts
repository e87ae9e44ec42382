import { Histogram, Registry } from "prom-client";
import type { TraversalStatus } from "../../core/nat/traversal-status.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { BuildInfo } from "../build-info.ts";
import { computedMetric } from "./computed-metric.ts";
import { processFamilies } from "./metrics-process.ts";
import { serverFamilies } from "./metrics-servers.ts";
import { signalFamilies } from "./metrics-signals.ts";
import { socksFamilies } from "./metrics-socks.ts";
import { stunFamilies } from "./metrics-stun.ts";
import { traversalFamilies } from "./metrics-traversal.ts";
import { tunnelFamilies } from "./metrics-tunnel.ts";

export interface MetricsOptions {
  /** A snapshot per role of this process. Called once a scrape. */
  readonly status: () => readonly NodeStatus[];
  readonly traversal: () => TraversalStatus;
  readonly build: BuildInfo;
  /** `metrics.per_client_cn`: label series with `client_cn`, otherwise all clients are added up. */
  readonly perClientCn: boolean;
  /** `metrics.per_lane`: `ut_lane_*` with `lane_id`. */
  readonly perLane: boolean;
}

export interface Metrics {
  /** Of what `scrape` resolves to: Prometheus text format 0.0.4. */
  readonly contentType: string;
  scrape(): Promise<string>;
  /** One handshake that succeeded, from the TCP connection to the verified peer. */
  observeHandshake(clientCn: string, seconds: number): void;
}

/** From a LAN's millisecond to the 10 s after which a handshake is given up. The seed's alert looks at 2. */
const HANDSHAKE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

/**
 * The registry of one process. All series but the handshake histogram are computed from `status()` when scraped.
 *
 * 200 clients make 15,000 lines and about 20 ms of work; done at once, every scrape would be a stall that each
 * datagram feels. So families are written one by one, and datagrams pass in between: within a family the numbers are
 * of one moment, from one family to the next some milliseconds may lie.
 */
export function createMetrics(options: MetricsOptions): Metrics {
  const { status, traversal, build, perClientCn, perLane } = options;
  const registry = new Registry();
  let nodes: readonly NodeStatus[] = [];
  let direct = traversal();

  for (const family of tunnelFamilies({ nodes: () => nodes, perClientCn, perLane }))
    registry.registerMetric(computedMetric(family));
  const handshakes = new Histogram({
    name: "ut_tls_handshake_seconds",
    help: "Time that successful TLS handshakes took",
    labelNames: perClientCn ? ["client_cn"] : [],
    buckets: HANDSHAKE_BUCKETS_SECONDS,
    registers: [registry],
  });
  registry.registerMetric(computedMetric(buildFamily(build)));
  for (const family of traversalFamilies(() => direct)) registry.registerMetric(computedMetric(family));
  for (const family of stunFamilies(() => nodes)) registry.registerMetric(computedMetric(family));
  for (const family of signalFamilies(() => nodes)) registry.registerMetric(computedMetric(family));
  for (const family of socksFamilies(() => nodes)) registry.registerMetric(computedMetric(family));
  for (const family of serverFamilies(() => nodes)) registry.registerMetric(computedMetric(family));
  for (const family of processFamilies()) registry.registerMetric(computedMetric(family));

  const zeroed = new Set<string>();
  function startHandshakesAtZero(): void {
    if (!perClientCn) return;
    for (const cn of nodes.flatMap((node) => [node.role === "client" ? node.cn : [], ...node.clients.keys()].flat())) {
      if (zeroed.has(cn)) continue;
      zeroed.add(cn);
      handshakes.zero({ client_cn: cn });
    }
  }

  let underWay: Promise<string> | undefined;
  return {
    contentType: registry.contentType,
    // Scrapes at the same time share one: their cost does not grow with who asks.
    scrape() {
      underWay ??= scrape().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    observeHandshake(clientCn, seconds) {
      zeroed.add(clientCn);
      handshakes.observe(perClientCn ? { client_cn: clientCn } : {}, seconds);
    },
  };

  async function scrape(): Promise<string> {
    nodes = status();
    direct = traversal();
    startHandshakesAtZero();
    const families: string[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      families.push(await registry.getSingleMetricAsString(name));
      await new Promise((resolve) => setImmediate(resolve));
    }
    nodes = [];
    return `${families.join("\n\n")}\n`;
  }
}

function buildFamily({ version, commit, bun, platform }: BuildInfo) {
  return {
    name: "ut_build_info",
    help: "What this binary was built from; always 1",
    type: "gauge",
    samples: () => [{ labels: { version, commit, bun, platform }, value: 1 }],
  } as const;
}
