import { describe, expect, test } from "bun:test";
import { SourceLimiter } from "../../../../src/core/net/source-limiter.ts";

const LIMITS = { count: 3, windowMs: 1_000, maxSources: 4 };
const REAL = "198.51.100.1";

/** Which of the calls at these times pass. */
function passed(limiter: SourceLimiter, times: readonly number[], address = REAL): number[] {
  return times.filter((now) => limiter.allow(now, address));
}

describe("a source", () => {
  test.each([
    ["all at once", [0, 0, 0, 0, 0], [0, 0, 0]],
    ["across the border of a window", [0, 900, 950, 999, 1_000, 1_001, 1_899, 1_900], [0, 900, 950, 1_000, 1_900]],
    ["evenly, just slowly enough", [0, 334, 668, 1_002, 1_336], [0, 334, 668, 1_002, 1_336]],
  ])("passes three times in any second: %s", (_how, times, expected) => {
    expect(passed(new SourceLimiter(LIMITS), times)).toEqual(expected);
  });

  test("that goes on while it is refused passes as soon as one that is patient", () => {
    const times = Array.from({ length: 30 }, (_, i) => i * 100);
    expect(passed(new SourceLimiter(LIMITS), times)).toEqual([0, 100, 200, 1_000, 1_100, 1_200, 2_000, 2_100, 2_200]);
  });

  test("has nothing to do with another one", () => {
    const limiter = new SourceLimiter(LIMITS);
    passed(limiter, [0, 0, 0, 0]);
    expect(passed(limiter, [0], "198.51.100.2")).toEqual([0]);
  });

  test("of IPv6 is its /64", () => {
    const limiter = new SourceLimiter(LIMITS);
    const times = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1", "2001:db8:0:0:abcd::", "2001:db8:0:1::1"];
    expect(times.map((address) => limiter.allow(0, address))).toEqual([true, true, true, false, true]);
    expect(limiter.size).toBe(2);
  });
});

describe("a flood of forged sources", () => {
  const forged = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

  test("makes the table no larger, and each of them passes", () => {
    const limiter = new SourceLimiter(LIMITS);
    const refused = Array.from({ length: 10_000 }, (_, i) => limiter.allow(0, forged(i))).filter((ok) => !ok);
    expect({ refused, size: limiter.size }).toEqual({ refused: [], size: 4 });
  });

  test("keeps a real source from nothing", () => {
    const limiter = new SourceLimiter(LIMITS);
    const times: number[] = [];
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 1_000; i++) limiter.allow(second * 1_000, forged(i));
      times.push(...passed(limiter, [second * 1_000]));
    }
    expect(times).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
  });

  test("has a source forgotten that was quiet longest, not the one that is being refused", () => {
    const limiter = new SourceLimiter(LIMITS);
    passed(limiter, [0, 0, 0]);
    let more = 0;
    for (let i = 0; i < 999; i++) {
      for (const one of [0, 1, 2]) limiter.allow(0, forged(3 * i + one));
      if (limiter.allow(0, REAL)) more++;
    }
    expect(more).toBe(0);
    for (const one of [1, 2, 3, 4]) limiter.allow(0, forged(one));
    expect(limiter.allow(0, REAL)).toBe(true);
  });
});
