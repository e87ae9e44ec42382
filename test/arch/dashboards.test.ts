import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parse } from "yaml";
import { ProbeStats } from "../../src/core/udpmon/probe-stats.ts";
import { createMetrics } from "../../src/io/metrics/metrics.ts";
import { serveProberMetrics, serveReflectorMetrics } from "../../src/io/metrics/udpmon-metrics.ts";
import { traversalStatus } from "../unit/io/node-status.ts";

/** What config/ offers for Prometheus and Grafana asks for metrics that exist, and shows all of them. */
const ROOT = join(import.meta.dir, "../..");
const text = (path: string) => Bun.file(join(ROOT, path)).text();

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
}

const dashboard: { panels: Panel[]; templating: { list: { name: string }[] } } = JSON.parse(
  await text("config/grafana/ut-dashboard.json"),
);
const { groups }: { groups: { rules: Rule[] }[] } = parse(await text("config/prometheus/ut.rules.yml"));
const rules = groups.flatMap((group) => group.rules);

/** Names of the families that a node and `ut udpmon` have, histograms by their base. */
async function families(): Promise<Set<string>> {
  const build = { version: "0", commit: "0", bun: "0", platform: "linux-x64" };
  const all = { status: () => [], traversal: () => traversalStatus(), build, perClientCn: true, perLane: true };
  const listen = { host: "127.0.0.1", port: 0 };
  const counters = { received: 0, echoed: 0, refused: { noProbe: 0, answer: 0, rate: 0 } };
  await using prober = serveProberMetrics(listen, new ProbeStats());
  await using reflector = serveReflectorMetrics(listen, counters);
  const pages = [await createMetrics(all).scrape()];
  for (const { url } of [prober, reflector]) pages.push(await (await fetch(`${url}/metrics`)).text());
  return new Set([...pages.join("\n").matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? ""));
}

const known = await families();

/** The families that a PromQL expression names. */
function named(expression: string): string[] {
  const names = [...expression.matchAll(/\b(?:ut|udpmon|process)_[a-z0-9_]*[a-z]\b/g)].map(([name]) => name);
  return names.map((name) => (known.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "")));
}

describe("the Grafana dashboard", () => {
  const shown = new Set(dashboard.panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => named(expr))));

  test("shows every metric there is, and no other", () => {
    expect([...shown].sort()).toEqual([...known].sort());
  });

  test("has panels with numbers of their own that do not overlap", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(dashboard.panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  test("uses only variables that it has", () => {
    const variables = dashboard.templating.list.map(({ name }) => name);
    const builtIn = ["__rate_interval"];
    const used = [...JSON.stringify(dashboard.panels).matchAll(/\$\{?(\w+)\}?/g)].map(([, name]) => name ?? "");
    expect([...new Set(used)].filter((name) => ![...variables, ...builtIn].includes(name))).toEqual([]);
  });
});

describe("the alerts", () => {
  test("ask for metrics that exist", () => {
    expect(rules.flatMap(({ expr }) => named(expr)).filter((name) => !known.has(name))).toEqual([]);
  });

  test("each have a name of their own, and one of two severities", () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    expect(new Set(rules.map(({ labels }) => labels.severity))).toEqual(new Set(["critical", "warning"]));
  });

  test("are all told of in docs/operating.md, and all tested", async () => {
    const names = rules.map(({ alert }) => alert).sort();
    const section = (await text("docs/operating.md")).split(/^## Alerts$/m)[1]?.split(/^## /m)[0] ?? "";
    expect([...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name ?? "").sort()).toEqual(names);
    const tests = await text("test/vectors/prometheus/alerts.yml");
    expect(names.filter((name) => !tests.includes(name))).toEqual([]);
  });
});
