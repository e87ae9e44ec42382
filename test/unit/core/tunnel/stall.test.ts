import { describe, expect, test } from "bun:test";
import { StallDetector } from "../../../../src/core/tunnel/stall.ts";

describe("stall detector", () => {
  test("data in flight without an acknowledgement for three round trips is a stall, progress ends it", () => {
    const detector = new StallDetector();
    const verdicts = [0, 50, 100, 150, 200].map((now) => detector.stalled(now, 1_000, 5, 50));
    expect(verdicts).toEqual([false, false, false, false, true]);
    expect(detector.stalled(210, 2_000, 5, 50)).toBe(false);
  });

  test("a short path is given 100 ms", () => {
    const detector = new StallDetector();
    expect([0, 60, 100, 101].map((now) => detector.stalled(now, 7, 1, 1))).toEqual([false, false, false, true]);
  });

  test("an idle lane is never stalled, and its first datagram has its whole time", () => {
    const detector = new StallDetector();
    expect([0, 5_000, 10_000].map((now) => detector.stalled(now, 7, 0, 20))).toEqual([false, false, false]);
    expect(detector.stalled(10_010, 7, 1, 20)).toBe(false);
    expect(detector.stalled(10_100, 7, 1, 20)).toBe(false);
    expect(detector.stalled(10_111, 7, 1, 20)).toBe(true);
  });
});
