import { expect, test } from "bun:test";
import { MAX_WAIT_MS, MAX_WAITING, Reassembly, split } from "../../../../src/core/pipe/parts.ts";
import { numbered } from "../../../bytes.ts";

function halves(id: number, length = 2_001): [Uint8Array, Uint8Array] {
  const parts = split(numbered(id, length), id, 1_200);
  if (parts === undefined) throw new Error("does not fit");
  return parts;
}

test.each([2_001, 2_390, 1_201])("%i bytes go in two halves and come back whole, in either order", (length) => {
  const reassembly = new Reassembly();
  const [first, second] = halves(1, length);
  expect([reassembly.take(0, 2, first), reassembly.take(0, 2, second)]).toEqual([undefined, numbered(1, length)]);
  expect([reassembly.take(0, 2, second), reassembly.take(0, 2, first)]).toEqual([undefined, numbered(1, length)]);
  expect(reassembly.dropped).toBe(0);
});

test("what is too large even in halves cannot go", () => {
  expect(split(new Uint8Array(2_391), 1, 1_200)).toBeUndefined();
});

test("halves of different flows and datagrams do not meet", () => {
  const reassembly = new Reassembly();
  const [first, second] = halves(1);
  expect(reassembly.take(0, 2, first)).toBeUndefined();
  expect(reassembly.take(0, 3, second)).toBeUndefined();
  expect(reassembly.take(0, 2, halves(2)[1])).toBeUndefined();
  expect(reassembly.take(0, 2, second)).toEqual(numbered(1, 2_001));
});

test("half a datagram is given up after a second, or when too many wait", () => {
  const reassembly = new Reassembly();
  for (let id = 0; id <= MAX_WAITING; id++) reassembly.take(0, 2, halves(id)[0]);
  expect(reassembly.dropped).toBe(1);
  expect(reassembly.take(0, 2, halves(0)[1])).toBeUndefined();
  expect(reassembly.take(MAX_WAIT_MS, 2, halves(MAX_WAITING)[1])).toEqual(numbered(MAX_WAITING, 2_001));
  expect(reassembly.take(MAX_WAIT_MS + 1, 2, halves(2)[1])).toBeUndefined();
  // All that waited, but the one that was completed; the newest half waits.
  expect(reassembly.dropped).toBe(MAX_WAITING + 1);
});

test("a half that says it is the third, or none at all, is dropped", () => {
  const reassembly = new Reassembly();
  const third = halves(1)[1].slice();
  third[4] = 2;
  expect([reassembly.take(0, 2, third), reassembly.take(0, 2, new Uint8Array(3))]).toEqual([undefined, undefined]);
  expect(reassembly.dropped).toBe(2);
});

test("a half that no path would have taken is not kept", () => {
  const reassembly = new Reassembly();
  const large = new Uint8Array(1_473);
  expect([reassembly.take(0, 2, large), reassembly.dropped]).toEqual([undefined, 1]);
});
