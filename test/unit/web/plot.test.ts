import { expect, test } from "bun:test";
import type { LoadSample } from "../../../src/core/tunnel/load-history.ts";
import { linePath } from "../../../src/web/plot-path.ts";
import { ticksUpTo } from "../../../src/web/ticks.ts";

test.each([
  [1, [0, 0.25, 0.5, 0.75, 1]],
  [10, [0, 2.5, 5, 7.5, 10]],
  [29, [0, 10, 20, 30]],
  [0.3, [0, 0.1, 0.2, 0.3]],
  [94.1, [0, 25, 50, 75, 100]],
  [812, [0, 250, 500, 750, 1_000]],
])("a scale up to %p has lines at %p", (top, ticks) => expect(ticksUpTo(top)).toEqual(ticks));

const frame = { left: 40, right: 140, top: 10, bottom: 110, from: 0, to: 1_000, max: 20, marks: [2, 1, 0] };

function sample(at: number, rttMs: number | null): LoadSample {
  const rest = { upBitsPerSecond: 0, downBitsPerSecond: 0, drops: 0, slowestRttMs: null, waitMs: null };
  return { at, rttMs, ...rest, queuedPackets: 0, openLanes: 0 };
}

test("a line goes through what is known, and has a gap where nothing is", () => {
  const samples = [sample(0, 0), sample(500, 10), sample(600, null), sample(700, 20), sample(1_000, 5)];
  expect(linePath(samples, "rttMs", frame)).toBe("M40.0 110.0L90.0 60.0M110.0 10.0L140.0 85.0");
  expect(linePath([], "rttMs", frame)).toBe("");
});
