import { describe, expect, test } from "bun:test";
import { BURST_PACKETS, MIN_PACKETS_PER_MS, Pacer } from "../../../../src/core/tunnel/pacer.ts";

describe("pacer", () => {
  test("a stalled lane's burst leaves in steps that a small receive buffer survives", () => {
    const pacer = new Pacer(0);
    let waiting = 200;
    const steps: number[] = [];
    for (let now = 0; waiting > 0; now++) {
      const granted = pacer.take(now, now === 0 ? 200 : 0, waiting);
      steps.push(granted);
      waiting -= granted;
    }
    expect(steps[0]).toBe(BURST_PACKETS);
    expect(Math.max(...steps.slice(1))).toBeLessThanOrEqual(BURST_PACKETS);
    expect(steps.length).toBe(1 + Math.ceil((200 - BURST_PACKETS) / MIN_PACKETS_PER_MS));
  });

  test("a steady flow is never held back, however fast", () => {
    for (const perMs of [1, 10, 100, 500]) {
      const pacer = new Pacer(0);
      let waiting = 0;
      let longest = 0;
      for (let now = 0; now < 1_000; now++) {
        waiting += perMs;
        waiting -= pacer.take(now, perMs, waiting);
        if (now > 300) longest = Math.max(longest, waiting);
      }
      expect({ perMs, longest }).toEqual({ perMs, longest: 0 });
    }
  });

  test("a clock that stands still grants no more than the burst", () => {
    const pacer = new Pacer(5);
    expect(pacer.take(5, 1_000, 1_000)).toBe(BURST_PACKETS);
    expect(pacer.take(5, 0, 1_000)).toBe(0);
    expect(pacer.take(4, 0, 1_000)).toBe(0);
  });
});
