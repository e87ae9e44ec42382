import { expect, test } from "bun:test";
import { DELAY_BUCKETS_MS, DelayHistogram, TunnelCounters } from "../../../../src/core/tunnel/counters.ts";

test("a delay falls into the first bucket whose bound it does not exceed", () => {
  const histogram = new DelayHistogram();
  for (const delay of [0, 0.5, 0.51, 1, 7, 5_000, 5_001, 1e9]) histogram.observe(delay);
  expect(Object.fromEntries([...DELAY_BUCKETS_MS, "more"].map((bound, i) => [bound, histogram.buckets[i]]))).toEqual({
    "0.5": 2,
    "1": 2,
    "2.5": 0,
    "5": 0,
    "10": 1,
    "25": 0,
    "50": 0,
    "100": 0,
    "250": 0,
    "500": 0,
    "1000": 0,
    "5000": 1,
    more: 2,
  });
  expect([histogram.count, histogram.sumMs]).toEqual([8, 1_000_010_010.01]);
});

test("frame errors are counted by their kind", () => {
  const counters = new TunnelCounters();
  counters.frameError("bad_magic");
  counters.frameError("ctrl_flood");
  counters.frameError("bad_magic");
  expect([...counters.frameErrors]).toEqual([
    ["bad_magic", 2],
    ["ctrl_flood", 1],
  ]);
});
