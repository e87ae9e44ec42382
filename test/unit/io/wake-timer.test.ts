import { expect, jest, test } from "bun:test";
import { NEVER } from "../../../src/core/time.ts";
import { now } from "../../../src/io/clock.ts";
import { WakeTimer } from "../../../src/io/wake-timer.ts";

/** When it woke, of the times that it was set to, in ms from the beginning. */
function wakings(use: (timer: WakeTimer, at: (ms: number) => number, pass: (ms: number) => void) => void): number[] {
  jest.useFakeTimers();
  try {
    const began = now();
    const woken: number[] = [];
    const timer = new WakeTimer(() => woken.push(Math.round(now() - began)));
    const at = (ms: number) => began + ms;
    use(timer, at, (ms) => void jest.advanceTimersByTime(ms));
    return woken;
  } finally {
    jest.useRealTimers();
  }
}

test("wakes when it is told, once, later or sooner as it was told last", () => {
  expect(
    wakings((timer, at, pass) => {
      timer.set(at(10));
      timer.set(at(30));
      pass(40);
      timer.set(at(70));
      timer.set(at(50));
      pass(100);
    }),
  ).toEqual([30, 50]);
});

test("by a time: what is sooner stands; and not at all after NEVER, or its end", () => {
  expect(
    wakings((timer, at, pass) => {
      timer.setBy(at(20));
      timer.setBy(at(60));
      pass(100);
      timer.set(at(120));
      timer.set(NEVER);
      pass(100);
      timer.set(at(220));
      timer[Symbol.dispose]();
      timer.set(at(230));
      pass(100);
    }),
  ).toEqual([20]);
});
