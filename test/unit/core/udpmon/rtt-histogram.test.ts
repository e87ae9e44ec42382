import { expect, test } from "bun:test";
import { RttHistogram } from "../../../../src/core/udpmon/rtt-histogram.ts";
import { Random } from "../../../random.ts";

test("percentiles are those of the sorted values to 1 %, from microseconds to minutes", () => {
  const random = new Random(7);
  const values = Array.from({ length: 10_000 }, () => 10 ** (random.next() * 7 - 2.9));
  const histogram = new RttHistogram();
  for (const value of values) histogram.add(value);
  values.sort((a, b) => a - b);
  for (const percent of [0, 1, 50, 95, 99, 99.9, 100]) {
    const exact = values[Math.max(0, Math.ceil((percent / 100) * values.length) - 1)] ?? 0;
    expect(Math.abs(histogram.percentile(percent) / exact - 1)).toBeLessThan(0.011);
  }
  expect(histogram.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6);
});

test("of nothing there is none; of what is off the scale the extremes", () => {
  const histogram = new RttHistogram();
  expect([histogram.percentile(50), histogram.mean]).toEqual([Number.NaN, Number.NaN]);
  histogram.add(0);
  histogram.add(1e9);
  expect([histogram.percentile(50), histogram.percentile(100)]).toEqual([
    expect.closeTo(0.001, 4),
    expect.closeTo(100_000, -4),
  ]);
});

test("the spread shows where they lie", () => {
  const histogram = new RttHistogram();
  for (const ms of [1, 1, 1, 10, 100]) histogram.add(ms);
  expect(histogram.spread(3)).toEqual([3, 1, 1]);
  const one = new RttHistogram();
  one.add(5);
  expect(one.spread(4)).toEqual([1, 0, 0, 0]);
});
