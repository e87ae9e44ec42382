import { expect, test } from "bun:test";
import { ReplayWindow, WINDOW_PACKETS } from "../../../../src/core/pipe/replay-window.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

test("each counter is accepted once, in whatever order, as long as it is in the window", () => {
  const window = new ReplayWindow();
  const asked = [
    0,
    1,
    1,
    0,
    5,
    3,
    4,
    5,
    WINDOW_PACKETS,
    2,
    1,
    6,
    2 ** 32 + 7,
    2 ** 32 + 7,
    2 ** 32 - WINDOW_PACKETS + 8,
  ];
  expect(asked.map((counter) => window.accept(counter))).toEqual([
    ...[true, true, false, false, true, true, true, false, true, true, false, true, true, false, true],
  ]);
});

test("the window's edge: the oldest that counts, and the first that does not", () => {
  const window = new ReplayWindow();
  const newest = 100_000;
  expect(window.accept(newest)).toBe(true);
  expect(window.accept(newest - WINDOW_PACKETS)).toBe(false);
  expect(window.accept(newest - WINDOW_PACKETS + 1)).toBe(true);
  expect(window.accept(newest - WINDOW_PACKETS + 1)).toBe(false);
});

test("against a window that remembers everything", () => {
  for (const seed of fuzzSeeds("replay-window", 20)) {
    const random = new Random(seed);
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let newest = -1;
    for (let step = 0; step < 5_000; step++) {
      const counter = Math.max(0, newest + pick(random));
      const fresh = !seen.has(counter) && counter > newest - WINDOW_PACKETS;
      expect({ seed, step, counter, accepted: window.accept(counter) }).toEqual({
        seed,
        step,
        counter,
        accepted: fresh,
      });
      if (fresh) seen.add(counter);
      newest = Math.max(newest, counter);
    }
  }
});

/** Mostly near the newest, at times at the window's edge, at times far ahead. */
function pick(random: Random): number {
  if (random.oneIn(200)) return random.below(3 * WINDOW_PACKETS);
  if (random.oneIn(4)) return -WINDOW_PACKETS + random.between(-3, 40);
  return random.between(-64, 8);
}
