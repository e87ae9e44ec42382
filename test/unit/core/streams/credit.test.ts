import { expect, test } from "bun:test";
import {
  BUDGET_BYTES,
  CreditBudget,
  FIRST_WINDOW_BYTES,
  MAX_WINDOW_BYTES,
  ReceiveCredit,
} from "../../../../src/core/streams/credit.ts";

const KIB = 1024;

/** The sender uses all that it may, the reader reads all at once: what each grant was. */
function grants(credit: ReceiveCredit, rounds: number): number[] {
  let left = FIRST_WINDOW_BYTES;
  return Array.from({ length: rounds }, () => {
    expect(credit.receive(left)).toBe(true);
    expect(credit.receive(1)).toBe(false);
    left = credit.read(left);
    return left;
  });
}

test("the window doubles each time it was read, up to the largest", () => {
  const credit = new ReceiveCredit(new CreditBudget());
  expect(grants(credit, 8).map((bytes) => bytes / KIB)).toEqual([128, 256, 512, 1_024, 2_048, 4_096, 4_096, 4_096]);
});

test("a sender is told of more when half of its window was read, and not before", () => {
  const credit = new ReceiveCredit(new CreditBudget());
  expect(credit.receive(FIRST_WINDOW_BYTES)).toBe(true);
  expect(credit.read(FIRST_WINDOW_BYTES / 2 - 1)).toBe(0);
  expect(credit.waitingBytes).toBe(FIRST_WINDOW_BYTES / 2 + 1);
  // 128 KiB from here on, 32 of which wait to be read.
  expect(credit.read(1)).toBe(96 * KIB);
  expect(credit.receive(96 * KIB + 1)).toBe(false);
  expect(credit.receive(96 * KIB)).toBe(true);
  expect(credit.waitingBytes).toBe(2 * FIRST_WINDOW_BYTES);
});

test("a reader that reads nothing keeps its sender to the first window", () => {
  const credit = new ReceiveCredit(new CreditBudget());
  expect(credit.receive(FIRST_WINDOW_BYTES)).toBe(true);
  expect([credit.read(0), credit.receive(1)]).toEqual([0, false]);
});

test("many streams get a smaller part each, and what was given before is used up first", () => {
  const budget = new CreditBudget();
  const credit = new ReceiveCredit(budget);
  expect(grants(credit, 7).at(-1)).toBe(MAX_WINDOW_BYTES);
  const others = Array.from({ length: 63 }, () => new ReceiveCredit(budget));
  expect(budget.shareBytes).toBe(1_024 * KIB);
  expect(credit.receive(2_048 * KIB)).toBe(true);
  expect(credit.read(2_048 * KIB)).toBe(0);
  expect(credit.receive(2_048 * KIB)).toBe(true);
  expect(credit.read(2_048 * KIB)).toBe(1_024 * KIB);
  for (const other of others) other.close();
});

test("all of them together are never given more than there is, and closing gives back", () => {
  const budget = new CreditBudget();
  const early = Array.from({ length: 16 }, () => new ReceiveCredit(budget));
  for (const credit of early) grants(credit, 7);
  expect(budget.givenBytes).toBe(16 * (MAX_WINDOW_BYTES - FIRST_WINDOW_BYTES));
  const late = Array.from({ length: 16 }, () => new ReceiveCredit(budget));
  for (const credit of late) grants(credit, 7);
  expect(budget.givenBytes).toBe(BUDGET_BYTES);
  for (const credit of [...early, ...late, ...late]) credit.close();
  expect(budget.givenBytes).toBe(0);
  expect(budget.shareBytes).toBe(MAX_WINDOW_BYTES);
});

test("what is read after the end changes nothing", () => {
  const budget = new CreditBudget();
  const credit = new ReceiveCredit(budget);
  credit.receive(FIRST_WINDOW_BYTES);
  credit.close();
  expect(credit.read(FIRST_WINDOW_BYTES)).toBe(0);
  expect(budget.givenBytes).toBe(0);
});
