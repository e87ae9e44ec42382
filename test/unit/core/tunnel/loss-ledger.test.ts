import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { GIVE_UP_MS, LATE_MS, LEDGER_WINDOW, LossLedger } from "../../../../src/core/tunnel/loss-ledger.ts";

const LAST = 0xffff_ffff;

function arrive(ledger: LossLedger, ...seqs: number[]): boolean[] {
  return seqs.map((seq) => ledger.arrive(seq));
}

/** Everything before `floor` is lost, as soon as may be. */
function settled(ledger: LossLedger, floor: number, now = 0): { lost: number; open: number } {
  ledger.settle(now, floor);
  ledger.handleTimeout(now + LATE_MS);
  return { lost: ledger.lost, open: ledger.open };
}

describe("arrivals", () => {
  test("nothing has arrived, nothing is open", () => {
    const ledger = new LossLedger();
    expect([ledger.newest, ledger.open, ledger.lost, ledger.nextTimeout()]).toEqual([-1, 0, 0, NEVER]);
  });

  test("each number is fresh once", () => {
    const ledger = new LossLedger();
    expect(arrive(ledger, 0, 1, 1, 0, 3, 3, 2, 2, 3)).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
      true,
      false,
      false,
    ]);
    expect([ledger.newest, ledger.open, ledger.lost]).toEqual([3, 0, 0]);
  });

  test("what is missing before the newest is open", () => {
    const ledger = new LossLedger();
    arrive(ledger, 5);
    expect([ledger.open, ledger.newest]).toEqual([5, 5]);
    arrive(ledger, 0, 4);
    expect(ledger.open).toBe(3);
    arrive(ledger, 1, 2, 3);
    expect([ledger.open, ledger.lost]).toEqual([0, 0]);
  });
});

describe("a floor", () => {
  test("makes a loss of what is missing before it, after a second, once", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 2, 5);
    ledger.settle(100, 4);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([0, 3, 1_100]);
    ledger.handleTimeout(1_099);
    expect(ledger.lost).toBe(0);
    ledger.handleTimeout(1_100);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([2, 1, 1_100 + GIVE_UP_MS]);
    expect(settled(ledger, 4, 2_000)).toEqual({ lost: 2, open: 1 });
    expect(settled(ledger, 5, 4_000)).toEqual({ lost: 3, open: 0 });
  });

  test("does not keep out what another lane brings late, and that is no loss", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 3);
    ledger.settle(0, 3);
    expect(ledger.arrive(1)).toBe(true);
    ledger.handleTimeout(LATE_MS);
    expect([ledger.lost, ledger.open]).toEqual([1, 0]);
  });

  test("what comes after it was counted is refused, so that nothing counts twice", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 3);
    expect(settled(ledger, 3)).toEqual({ lost: 2, open: 0 });
    expect([arrive(ledger, 1, 2, 3, 4), ledger.lost]).toEqual([[false, false, false, true], 2]);
  });

  test("that goes on moving is followed within two seconds, without traffic", () => {
    const ledger = new LossLedger();
    arrive(ledger, 1, 3, 5);
    ledger.settle(0, 1);
    ledger.settle(500, 3);
    ledger.settle(900, 5);
    ledger.handleTimeout(1_000);
    expect([ledger.lost, ledger.nextTimeout()]).toEqual([1, 2_000]);
    ledger.handleTimeout(1_999);
    expect(ledger.lost).toBe(1);
    ledger.handleTimeout(2_000);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([3, 0, NEVER]);
  });

  test("sets no timer while nothing is missing", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 1, 2);
    ledger.settle(0, 2);
    expect(ledger.nextTimeout()).toBe(NEVER);
  });

  test("that falls back changes nothing", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 2, 4);
    expect(settled(ledger, 3)).toEqual({ lost: 1, open: 1 });
    expect(settled(ledger, 0)).toEqual({ lost: 1, open: 1 });
    expect(settled(ledger, LAST)).toEqual({ lost: 1, open: 1 });
  });
});

describe("no floor", () => {
  test("a number that has been missing for half a minute is lost, at most for a minute", () => {
    const ledger = new LossLedger();
    arrive(ledger, 1);
    ledger.handleTimeout(0);
    expect(ledger.nextTimeout()).toBe(GIVE_UP_MS);
    arrive(ledger, 3);
    ledger.handleTimeout(GIVE_UP_MS - 1);
    expect(ledger.lost).toBe(0);
    ledger.handleTimeout(GIVE_UP_MS);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([1, 1, 2 * GIVE_UP_MS]);
    ledger.handleTimeout(2 * GIVE_UP_MS);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([2, 0, NEVER]);
  });

  test("one that begins to move is followed as fast as ever", () => {
    const ledger = new LossLedger();
    arrive(ledger, 1, 3);
    ledger.handleTimeout(0);
    ledger.settle(10_000, 2);
    expect(ledger.nextTimeout()).toBe(10_000 + LATE_MS);
    ledger.handleTimeout(10_000 + LATE_MS);
    expect([ledger.lost, ledger.open, ledger.nextTimeout()]).toEqual([1, 1, 10_000 + LATE_MS + GIVE_UP_MS]);
  });
});

describe("the window", () => {
  test("a number 16,383 behind the newest may still arrive, one more is lost", () => {
    expect(LEDGER_WINDOW).toBe(16_384);
    const ledger = new LossLedger();
    arrive(ledger, LEDGER_WINDOW - 1);
    expect([ledger.open, ledger.lost, ledger.arrive(0)]).toEqual([LEDGER_WINDOW - 1, 0, true]);
    arrive(ledger, LEDGER_WINDOW + 1);
    expect([ledger.lost, ledger.arrive(1), ledger.arrive(2), ledger.open]).toEqual([1, false, true, LEDGER_WINDOW - 3]);
  });

  test("a jump beyond it loses what lies before the new window, and only that", () => {
    // Regression: everything before the number that jumped was given up, and its neighbours refused.
    const ledger = new LossLedger();
    arrive(ledger, 0, 1);
    expect(ledger.arrive(50_000)).toBe(true);
    expect([ledger.lost, ledger.open]).toEqual([50_000 - LEDGER_WINDOW + 1 - 2, LEDGER_WINDOW - 1]);
    expect(arrive(ledger, 49_999, 50_001, 50_000 - LEDGER_WINDOW + 3, 50_000 - LEDGER_WINDOW + 1)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(ledger.lost + ledger.open + 6).toBe(50_002);
  });

  test("turns over again and again without forgetting or inventing a loss", () => {
    const ledger = new LossLedger();
    let lost = 0;
    for (let seq = 0; seq < 100_000; seq++) {
      if (seq % 1_000 === 7) lost++;
      else if (!ledger.arrive(seq)) throw new Error(`${seq} was refused`);
    }
    expect([ledger.lost + ledger.open, ledger.newest]).toEqual([lost, 99_999]);
    expect(settled(ledger, 100_000)).toEqual({ lost, open: 0 });
  });
});

describe("the wrap at 2^32", () => {
  /** The way there: serial numbers cannot jump further than half way round. */
  const STEPS = [2 ** 30, 2 ** 31, 3 * 2 ** 30];

  test("is like any other number", () => {
    const ledger = new LossLedger();
    arrive(ledger, ...STEPS, LAST - 5);
    const before = ledger.lost + ledger.open;
    expect(arrive(ledger, LAST - 4, LAST, 2, 0, LAST, 2, 1)).toEqual([true, true, true, true, false, false, true]);
    expect(ledger.newest).toBe(2);
    // Missing around the wrap: LAST - 3 to LAST - 1.
    expect(ledger.lost + ledger.open - before).toBe(3);
    expect([settled(ledger, 2).open, ledger.lost - before]).toEqual([0, 3]);
    expect(arrive(ledger, LAST - 1, 1, 3)).toEqual([false, false, true]);
  });

  test("zero as the newest number is a number, not nothing", () => {
    const ledger = new LossLedger();
    arrive(ledger, ...STEPS, LAST, 0);
    expect(ledger.newest).toBe(0);
    ledger.arrive(LAST - 1);
    expect(ledger.newest).toBe(0);
  });
});

describe("reset", () => {
  test("loses what was open and starts at zero", () => {
    const ledger = new LossLedger();
    arrive(ledger, 0, 2, 7);
    ledger.settle(0, 2);
    ledger.reset();
    expect([ledger.lost, ledger.open, ledger.newest, ledger.nextTimeout()]).toEqual([5, 0, -1, NEVER]);
    expect(arrive(ledger, 0, 2, 7)).toEqual([true, true, true]);
    ledger.handleTimeout(1e9);
    expect([ledger.lost, ledger.open]).toEqual([5, 5]);
  });
});
