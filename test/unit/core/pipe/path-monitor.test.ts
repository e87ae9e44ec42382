import { describe, expect, test } from "bun:test";
import { KEEPALIVE_MS, PathMonitor } from "../../../../src/core/pipe/path-monitor.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { Random } from "../../../random.ts";

function monitor(): PathMonitor {
  const random = new Random(1);
  return new PathMonitor((length) => random.bytes(length));
}

/** One that was proven at 0 with a round trip of 0 ms. */
function proven(): PathMonitor {
  const path = monitor();
  path.answered(0, path.probe(0));
  return path;
}

test("the first answer proves it; round trips are smoothed by an eighth", () => {
  const path = monitor();
  expect([path.isProven, path.rttMs]).toEqual([false, undefined]);
  const trips = [40, 80, 40].map((ms, i) => {
    const token = path.probe(i * 500);
    expect(path.answered(i * 500 + ms, token)).toBe(true);
    return path.rttMs;
  });
  expect([path.isProven, trips]).toEqual([true, [40, 45, 44.375]]);
});

test("an answer counts once, and none that nobody asked for or that took a second and a half", () => {
  const path = monitor();
  const token = path.probe(0);
  expect([path.answered(1, token), path.answered(2, token), path.answered(2, "00".repeat(8))]).toEqual([
    ...[true, false, false],
  ]);
  const late = path.probe(1_000);
  path.probe(2_500);
  expect(path.answered(2_501, late)).toBe(false);
});

test("loss is measured over the last forty probes, and not before it was proven", () => {
  const path = monitor();
  for (let now = 0; now < 14_000; now += 2_000) path.probe(now);
  path.answered(14_000, path.probe(14_000));
  expect(path.loss).toBe(0);
  path.probe(16_000);
  const seen: number[] = [];
  for (let now = 18_000; seen.length < 41; now += 2_000) {
    path.answered(now, path.probe(now));
    seen.push(path.loss);
  }
  expect([seen[0], seen[38], seen[39]]).toEqual([1 / 40, 1 / 40, 0]);
});

describe("silence", () => {
  const cases: [title: string, probes: number[], now: number, doubtful: boolean, down: boolean, silentAt: number][] = [
    ["nothing was asked", [], 60_000, false, false, NEVER],
    ["asked a moment ago, heard lately", [500], 600, false, false, 2_000],
    ["under traffic for 1.5 s", [500, 1_000], 1_500, true, false, 2_000],
    ["under traffic for a little less", [500, 1_000], 1_499, false, false, 2_000],
    ["under traffic for 3 s", [500, 1_000, 1_500, 2_000, 2_500], 3_000, true, true, 2_000],
    ["under traffic for a little less than 3 s", [500, 1_000, 1_500, 2_000, 2_500], 2_999, true, false, 2_000],
    ["asked after a rest", [15_000], 15_000, true, false, 16_500],
    ["three keepalives", [15_000, 16_000, 17_000], 18_000, true, true, 16_500],
    ["two keepalives", [15_000, 16_000], 16_999, true, false, 16_500],
    ["asked once, and then the process slept", [500], 3_600_000, true, false, 2_000],
  ];
  test.each(cases)("%s", (_, probes, now, doubtful, down, silentAt) => {
    const path = proven();
    for (const at of probes) path.probe(at);
    expect([path.isDoubtful(now), path.isDown(now), path.silentAt]).toEqual([doubtful, down, silentAt]);
    path.heard(now);
    expect([path.isDoubtful(now), path.isDown(now), path.silentAt]).toEqual([false, false, NEVER]);
  });
});

test("probes are due every half second under traffic, else by the keepalive, and sooner once one was not answered", () => {
  const path = proven();
  expect([
    path.nextProbe(true, KEEPALIVE_MS),
    path.nextProbe(false, KEEPALIVE_MS),
    path.nextProbe(false, 9_000),
  ]).toEqual([500, 15_000, 9_000]);
  path.probe(15_000);
  expect([path.nextProbe(true, KEEPALIVE_MS), path.nextProbe(false, KEEPALIVE_MS)]).toEqual([15_500, 16_000]);
});
