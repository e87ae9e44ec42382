import { describe, expect, test } from "bun:test";
import { type BudgetLimits, PunchBudget } from "../../../../src/core/punch/budget.ts";
import { NEVER } from "../../../../src/core/time.ts";

const LIMITS: BudgetLimits = { packets: 1_000, packetsPerSecond: 100, mappings: 10 };

/** How many of `wanted` packets are granted at once. */
function take(budget: PunchBudget, now: number, wanted = 1_000): number {
  let granted = 0;
  while (granted < wanted && budget.take(now)) granted++;
  return granted;
}

function takeMappings(budget: PunchBudget, now: number, wanted = 1_000): number {
  let granted = 0;
  while (granted < wanted && budget.takeMapping(now)) granted++;
  return granted;
}

describe("packets", () => {
  test("leave at the rate, without a burst that was saved up", () => {
    const budget = new PunchBudget(LIMITS);
    expect([0, 5, 10, 10, 35, 10_000].map((now) => take(budget, now))).toEqual([1, 0, 1, 0, 1, 1]);
  });

  test("a fast rate makes up for 10 ms of a late timer", () => {
    const budget = new PunchBudget({ ...LIMITS, packetsPerSecond: 2_000 });
    expect([0, 1, 4, 500].map((now) => take(budget, now))).toEqual([20, 2, 6, 20]);
  });

  test("say when the next one may leave", () => {
    const budget = new PunchBudget(LIMITS);
    expect([budget.nextAt(3), take(budget, 3), budget.nextAt(3), budget.nextAt(8)]).toEqual([3, 1, 13, 13]);
  });

  test("are over when all are spent", () => {
    const budget = new PunchBudget({ ...LIMITS, packets: 2 });
    expect([take(budget, 0), take(budget, 10), take(budget, 20), budget.nextAt(20), budget.packets]).toEqual([
      1,
      1,
      0,
      NEVER,
      2,
    ]);
  });

  test("of several targets share the overall rate", () => {
    const overall = new PunchBudget(LIMITS);
    const [one, other] = [new PunchBudget(LIMITS, overall), new PunchBudget(LIMITS, overall)];
    expect([take(one, 0), take(other, 0), other.nextAt(0), take(other, 10), take(one, 10)]).toEqual([1, 0, 10, 1, 0]);
  });
});

describe("mappings", () => {
  test("are counted until the NAT has forgotten them, half a minute after the last packet", () => {
    const budget = new PunchBudget(LIMITS);
    expect(takeMappings(budget, 0)).toBe(10);
    budget.release(1_000, 10);
    expect([takeMappings(budget, 30_999), takeMappings(budget, 31_000)]).toEqual([0, 10]);
  });

  test("of several targets share what the NAT holds", () => {
    const overall = new PunchBudget({ ...LIMITS, mappings: 15 });
    const [one, other] = [new PunchBudget(LIMITS, overall), new PunchBudget(LIMITS, overall)];
    expect([takeMappings(one, 0), takeMappings(other, 0)]).toEqual([10, 5]);
    one.release(0, 10);
    expect([other.hasMapping(29_999), takeMappings(other, 30_000)]).toEqual([false, 5]);
  });
});
