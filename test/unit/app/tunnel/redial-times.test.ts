import { expect, test } from "bun:test";
import { RedialTimes } from "../../../../src/app/tunnel/redial-times.ts";

const pauses = (times: RedialTimes, count: number) => Array.from({ length: count }, () => times.next());

test("pauses grow to five seconds while dials fail, and begin at none after a connection that worked", () => {
  const times = new RedialTimes(() => 1);
  expect(pauses(times, 6)).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  times.worked();
  expect(pauses(times, 3)).toEqual([0, 500, 1_000]);
});

test("half of a pause is jitter", () => {
  const times = new RedialTimes(() => 0);
  expect(pauses(times, 3)).toEqual([250, 500, 1_000]);
});

test("a pause that is told is kept once, whatever came before", () => {
  const times = new RedialTimes(() => 1);
  times.worked();
  times.hold(60_000);
  expect(pauses(times, 3)).toEqual([60_000, 0, 500]);
});
