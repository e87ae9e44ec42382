import { expect, test } from "bun:test";
import { join } from "node:path";
import { ProbeStats } from "../../../../src/core/udpmon/probe-stats.ts";
import { serveProberMetrics, serveReflectorMetrics } from "../../../../src/io/metrics/udpmon-metrics.ts";

const LISTEN = { host: "127.0.0.1", port: 0 };

const values = (page: string) => page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("a prober's page", async () => {
  const stats = new ProbeStats();
  Object.assign(stats, { sent: 7, dropped: 2, duplicates: 3, unexpected: 4 });
  await using metrics = serveProberMetrics(LISTEN, stats);
  for (const rttMs of [1, 30, 9_000]) {
    stats.answered(rttMs, rttMs === 30);
    metrics.observe(rttMs);
  }
  const page = await (await fetch(`${metrics.url}/metrics`)).text();
  const bucket = (le: string, count: number) => `udpmon_probe_rtt_seconds_bucket{le="${le}"} ${count}`;
  expect(values(page)).toEqual([
    "udpmon_probe_sent_total 7",
    "udpmon_probe_received_total 3",
    "udpmon_probe_dropped_total 2",
    "udpmon_probe_unexpected_total 4",
    "udpmon_probe_duplicates_total 3",
    "udpmon_probe_reordered_total 1",
    `udpmon_probe_jitter_seconds ${stats.jitterMs / 1_000}`,
    bucket("0.0005", 0),
    ...["0.001", "0.0025", "0.005", "0.01", "0.025"].map((le) => bucket(le, 1)),
    ...["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5"].map((le) => bucket(le, 2)),
    bucket("+Inf", 3),
    "udpmon_probe_rtt_seconds_sum 9.031",
    "udpmon_probe_rtt_seconds_count 3",
  ]);
  const get = async (path: string, method = "GET") => (await fetch(metrics.url + path, { method })).status;
  expect([await get("/healthz"), await get("/"), await get("/metrics", "POST")]).toEqual([200, 404, 405]);
});

test("a reflector's page, and both in the document's table", async () => {
  const counters = { received: 3, echoed: 2, refused: { noProbe: 1, answer: 0, rate: 0 } };
  await using reflector = serveReflectorMetrics(LISTEN, counters);
  await using prober = serveProberMetrics(LISTEN, new ProbeStats());
  const page = await (await fetch(`${reflector.url}/metrics`)).text();
  expect(values(page)).toEqual(["udpmon_reflector_received_total 3", "udpmon_reflector_echo_total 2"]);
  const all = (await (await fetch(`${prober.url}/metrics`)).text()) + page;
  const document = await Bun.file(join(import.meta.dir, "../../../../docs/udpmon.md")).text();
  const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name ?? "").sort();
  expect(names(document, /^\| `(udpmon_\w+)`/gm)).toEqual(
    [...names(all, /^# TYPE (\S+)/gm), "udpmon_start", "udpmon_probe", "udpmon_reflector", "udpmon_summary"].sort(),
  );
});

test("an address that is taken is named, with the flag", async () => {
  await using taken = serveReflectorMetrics(LISTEN, {
    received: 0,
    echoed: 0,
    refused: { noProbe: 0, answer: 0, rate: 0 },
  });
  const port = Number(new URL(taken.url).port);
  expect(() => serveProberMetrics({ host: "127.0.0.1", port }, new ProbeStats())).toThrow(
    `Cannot bind metrics address 127.0.0.1:${port}: address in use; set --metrics-listen`,
  );
});
