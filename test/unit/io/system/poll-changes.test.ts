import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { pollChanges } from "../../../../src/io/system/poll-changes.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await Promise.resolve();
  await Promise.resolve();
}

test("what is found is told when it differs from what was found before", async () => {
  let found = { addresses: ["10.0.0.1"] };
  const told: unknown[] = [];
  using _polling = pollChanges(
    async () => found,
    { addresses: ["10.0.0.1"] },
    (change) => void told.push(change),
    5_000,
  );
  await pass(5_000);
  expect(told).toEqual([]);
  found = { addresses: ["10.0.0.2"] };
  await pass(5_000);
  await pass(5_000);
  expect(told).toEqual([{ addresses: ["10.0.0.2"] }]);
  found = { addresses: ["10.0.0.1"] };
  await pass(5_000);
  expect(told).toEqual([{ addresses: ["10.0.0.2"] }, { addresses: ["10.0.0.1"] }]);
});

test("disposed of it looks no more, and tells nothing of a look that was under way", async () => {
  let looks = 0;
  const look = Promise.withResolvers<number>();
  const told: number[] = [];
  const polling = pollChanges(
    () => {
      looks += 1;
      return look.promise;
    },
    0,
    (change) => void told.push(change),
    5_000,
  );
  await pass(5_000);
  polling[Symbol.dispose]();
  look.resolve(1);
  await pass(60_000);
  expect([looks, told]).toEqual([1, []]);
});
