import { describe, expect, test } from "bun:test";
import { Codel } from "../../../../src/core/tunnel/codel.ts";

/** Ask once a millisecond about a head that has always waited `waitedMs(now)`; the times at which it was dropped. */
function dropTimes(codel: Codel, from: number, to: number, waitedMs: (now: number) => number): number[] {
  const times: number[] = [];
  for (let now = from; now < to; now++) while (codel.drops(now, waitedMs(now), false)) times.push(now);
  return times;
}

describe("CoDel", () => {
  test("a burst that drains within the interval costs nothing", () => {
    const codel = new Codel(10);
    expect(dropTimes(codel, 0, 99, () => 50)).toEqual([]);
    expect(dropTimes(codel, 99, 300, () => 5)).toEqual([]);
  });

  test("a standing queue loses one after the interval, and then more and more often (RFC 8289 §5.3: interval/√n)", () => {
    expect(dropTimes(new Codel(10), 0, 500, () => 50)).toEqual([100, 200, 271, 329, 379, 424, 464]);
  });

  test("dropping ends as soon as one datagram has waited less than the target", () => {
    const codel = new Codel(10);
    expect(dropTimes(codel, 0, 240, () => 50)).toEqual([100, 200]);
    expect(codel.drops(240, 9, false)).toBe(false);
    expect(dropTimes(codel, 241, 341, () => 50)).toEqual([]);
  });

  test("a queue that stands again soon is taken up where the last one ended", () => {
    const codel = new Codel(10);
    dropTimes(codel, 0, 500, () => 50);
    codel.drops(500, 0, false);
    const again = dropTimes(codel, 501, 800, () => 50);
    expect(again.length).toBeGreaterThan(dropTimes(new Codel(10), 501, 800, () => 50).length);
  });

  test("the last datagram is never dropped", () => {
    const codel = new Codel(10);
    for (let now = 0; now < 1_000; now++) expect(codel.drops(now, 500, true)).toBe(false);
  });
});
