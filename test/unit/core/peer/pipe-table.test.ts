import { expect, test } from "bun:test";
import type { PeerPipe } from "../../../../src/core/peer/peer-pipe.ts";
import type { PeerShared } from "../../../../src/core/peer/peer-shared.ts";
import { PipeTable } from "../../../../src/core/peer/pipe-table.ts";

const COUNTS = { sentRelay: 1, sentDirect: 2, receivedRelay: 3, receivedDirect: 4 };

/** A pipe that is what the table needs of one; `mends` tells whether it can be closed without another error. */
function pipe(channel: number, mends = true): PeerPipe {
  let closedWith: string | undefined;
  return {
    ...{ id: channel, channel, counts: COUNTS, nextTimeout: () => 1_000 * channel },
    get closedWith() {
      return closedWith;
    },
    close(_now: number, reason: string) {
      closedWith = reason;
      if (!mends) throw new Error("and again");
    },
  } as unknown as PeerPipe;
}

function table(...pipes: PeerPipe[]) {
  const events: unknown[] = [];
  const shared = { out: { events }, totals: COUNTS } as unknown as PeerShared;
  const table = new PipeTable(shared);
  for (const one of pipes) table.add(one);
  return { table, events };
}

function broken(): never {
  throw new Error("no");
}

test("an error inside of one ends that one, even if it cannot be closed either; the others are asked all the same", () => {
  const all = [pipe(1), pipe(2), pipe(3, false), pipe(4)];
  const { table: pipes, events } = table(...all);
  const asked: number[] = [];
  pipes.each(0, ({ id }) => {
    asked.push(id);
    if (id === 2 || id === 3) broken();
  });
  expect(asked).toEqual([1, 2, 3, 4]);
  expect(all.map(({ closedWith }) => closedWith)).toEqual([undefined, "fault", "fault", undefined]);
  expect(events).toEqual([
    { type: "fault", pipe: 2, error: new Error("no") },
    { type: "fault", pipe: 3, error: new Error("no") },
    { type: "fault", pipe: 3, error: new Error("and again") },
  ]);
  expect([pipes.takeEnded()?.id, pipes.takeEnded()?.id, pipes.takeEnded(), pipes.size]).toEqual([2, 3, undefined, 2]);
});

test("what one is asked for and breaks at is no answer", () => {
  const { table: pipes } = table(pipe(1), pipe(2));
  expect(pipes.some(0, ({ id }) => (id === 1 ? broken() : true))).toBe(true);
  expect(pipes.within(0, pipe(3), broken)).toBeUndefined();
});

test("the next time of all, and what all have carried, those that are gone included", () => {
  const { table: pipes } = table(pipe(5), pipe(2));
  expect(pipes.nextTimeout(0)).toBe(2_000);
  expect({ ...pipes.totals() }).toEqual({ sentRelay: 3, sentDirect: 6, receivedRelay: 9, receivedDirect: 12 });
});
