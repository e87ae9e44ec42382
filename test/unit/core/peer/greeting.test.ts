import { expect, test } from "bun:test";
import { Greeting, UNPROVEN_MS } from "../../../../src/core/peer/greeting.ts";

test("the initiator greets every second until it is answered, and gives up in the end", () => {
  const greeting = new Greeting(0, true);
  const done = [0, 500, 1_000, 1_999, 2_000, UNPROVEN_MS].map((now) => greeting.poll(now));
  expect(done).toEqual(["greet", undefined, "greet", undefined, "greet", "give-up"]);
});

test("the responder stays unheard of", () => {
  const greeting = new Greeting(0, false);
  expect([greeting.poll(0), greeting.nextTimeout(), greeting.poll(UNPROVEN_MS)]).toEqual([
    undefined,
    UNPROVEN_MS,
    "give-up",
  ]);
});

test("proven once, it wants nothing any more", () => {
  const greeting = new Greeting(0, true);
  expect([greeting.prove(), greeting.prove(), greeting.isProven]).toEqual([true, false, true]);
  expect([greeting.poll(0), greeting.poll(UNPROVEN_MS), greeting.nextTimeout()]).toEqual([
    undefined,
    undefined,
    Number.POSITIVE_INFINITY,
  ]);
});
