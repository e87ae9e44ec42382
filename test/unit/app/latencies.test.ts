import { expect, test } from "bun:test";
import { Latencies } from "../../../src/app/latencies.ts";

test("percentiles are latencies that were measured, by nearest rank", () => {
  const latencies = new Latencies();
  for (let ms = 10_000; ms >= 1; ms--) latencies.add(ms);
  expect(latencies.summary()).toEqual({ count: 10_000, p50: 5_000, p95: 9_500, p99: 9_900, max: 10_000 });
  // The last hundred that came were the smallest.
  expect(latencies.summary(9_900)).toEqual({ count: 100, p50: 50, p95: 95, p99: 99, max: 100 });
});

test("nothing measured is NaN, one is all", () => {
  const latencies = new Latencies();
  expect(latencies.summary()).toEqual({ count: 0, p50: Number.NaN, p95: Number.NaN, p99: Number.NaN, max: Number.NaN });
  latencies.add(7);
  expect(latencies.summary()).toEqual({ count: 1, p50: 7, p95: 7, p99: 7, max: 7 });
});
