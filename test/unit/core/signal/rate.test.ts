import { describe, expect, test } from "bun:test";
import { CnRates } from "../../../../src/core/signal/cn-rates.ts";
import { PUNCHES_PER_WINDOW, WINDOW_MS } from "../../../../src/core/signal/limits.ts";
import { RateWindow, TokenBucket } from "../../../../src/core/signal/rate.ts";

describe("so many in any window", () => {
  test("exactly, whatever the spacing", () => {
    const window = new RateWindow(2, 100);
    const at = [0, 60, 99, 100, 120, 159, 160, 161];
    expect(at.map((now) => window.take(now))).toEqual([true, true, false, true, false, false, true, false]);
    expect([window.freeAt, window.emptyAt]).toEqual([200, 260]);
  });

  test("one that was never used is empty and free", () => {
    const window = new RateWindow(2, 100);
    expect([window.freeAt, window.emptyAt]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  });
});

describe("so many a second", () => {
  test("a burst, then at the rate; and at the very instant that it named", () => {
    const bucket = new TokenBucket(0, 30, 2);
    expect([bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([true, true, false]);
    let now = 0;
    for (let i = 0; i < 1_000; i++) {
      expect([i, bucket.freeAt > now]).toEqual([i, true]);
      now = bucket.freeAt;
      expect([i, bucket.take(now)]).toEqual([i, true]);
    }
    expect(now).toBeCloseTo(1_000_000 / 30, 1);
  });

  test("a clock that stands still or goes back gives nothing", () => {
    const bucket = new TokenBucket(1_000, 10, 1);
    expect([bucket.take(1_000), bucket.take(1_000), bucket.take(0), bucket.take(1_099)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("of each CN", () => {
  test("what it did is remembered while it counts, of however many CNs", () => {
    const rates = new CnRates();
    for (let i = 0; i < PUNCHES_PER_WINDOW; i++) rates.of(0, "busy").punches.take(0);
    for (let i = 0; i < 5_000; i++) rates.of(0, `cn-${i}`);
    expect(rates.of(WINDOW_MS - 1, "busy").punches.take(WINDOW_MS - 1)).toBe(false);
    for (let i = 0; i < 5_000; i++) rates.of(WINDOW_MS, `other-${i}`);
    expect(rates.size).toBeLessThan(2_100);
    expect(rates.of(WINDOW_MS, "busy").punches.take(WINDOW_MS)).toBe(true);
  });
});
