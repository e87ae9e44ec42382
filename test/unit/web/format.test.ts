import { expect, test } from "bun:test";
import {
  formatBytes,
  formatCount,
  formatDay,
  formatDistance,
  formatMs,
  formatRate,
  formatSpan,
  rateScale,
} from "../../../src/web/format.ts";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
  [0, "0 bit/s"],
  [999, "999 bit/s"],
  [1_000, "1.00 kbit/s"],
  [94_100_000, "94.1 Mbit/s"],
  [941_000_000, "941 Mbit/s"],
  [1_234_000_000_000, "1.23 Tbit/s"],
  [1e18, "1,000,000 Tbit/s"],
])("formatRate(%p) is %p", (value, text) => expect(plain(formatRate(value))).toBe(text));

test.each([
  [0, "0 ms"],
  [0.004, "< 0.01 ms"],
  [0.5, "0.50 ms"],
  [21.54, "21.5 ms"],
  [433, "433 ms"],
  [1_500, "1.50 s"],
  [null, "–"],
])("formatMs(%p) is %p", (value, text) => expect(plain(formatMs(value))).toBe(text));

test.each([
  [0, "0 s"],
  [119_000, "119 s"],
  [121_000, "2 min"],
  [7_300_000, "2 h"],
  [180_000_000, "2 days"],
])("formatSpan(%p) is %p", (value, text) => expect(plain(formatSpan(value))).toBe(text));

test("bytes, counts, days", () => {
  expect([formatBytes(15_800), formatBytes(12), formatCount(12_345)].map(plain)).toEqual(["15.8 kB", "12 B", "12,345"]);
  expect(formatDay("2030-01-31T12:00:00.000Z")).toBe("2030-01-31");
  const now = Date.parse("2030-01-01T00:00:00.000Z");
  expect(plain(formatDistance("2030-01-31T00:00:00.000Z", now))).toBe("in 30 days");
  expect(plain(formatDistance("2029-12-31T23:00:00.000Z", now))).toBe("60 min ago");
});

test("an axis counts in what makes its numbers short", () => {
  expect([10_000, 30_000_000].map(rateScale)).toEqual([
    { unit: "kbit/s", factor: 1_000 },
    { unit: "Mbit/s", factor: 1_000_000 },
  ]);
});
