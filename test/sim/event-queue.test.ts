import { describe, expect, test } from "bun:test";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { EventQueue } from "./event-queue.ts";

const RUNS = 200;
const STEPS = 300;

class Named {
  readonly name: string;
  readonly #fired: string[];

  constructor(name: string, fired: string[]) {
    this.name = name;
    this.#fired = fired;
  }

  fire(): void {
    this.#fired.push(this.name);
  }
}

describe("event queue", () => {
  test("earliest first; at one time in the order of putting in", () => {
    const fired: string[] = [];
    const queue = new EventQueue();
    for (const [at, name] of [
      [5, "e1"],
      [1, "a1"],
      [5, "e2"],
      [1, "a2"],
      [3, "c"],
      [1, "a3"],
    ] as const)
      queue.push(at, new Named(name, fired));
    expect([queue.size, queue.nextAt]).toEqual([6, 1]);
    while (queue.size > 0) queue.pop()?.fire();
    expect(fired).toEqual(["a1", "a2", "a3", "c", "e1", "e2"]);
    expect([queue.nextAt, queue.pop()]).toEqual([Number.POSITIVE_INFINITY, undefined]);
  });

  test(
    "is a sorted list, whatever is put in and taken out in between",
    () => {
      for (const seed of fuzzSeeds("event queue", RUNS)) {
        const random = new Random(seed);
        const queue = new EventQueue();
        const model: { at: number; name: string }[] = [];
        const fired: string[] = [];
        const expected: string[] = [];
        for (let step = 0; step < STEPS; step++) {
          if (random.oneIn(3)) {
            queue.pop()?.fire();
            // Stable: equal times keep their order.
            model.sort((one, other) => one.at - other.at);
            const first = model.shift();
            if (first !== undefined) expected.push(first.name);
          } else {
            const at = random.below(20);
            queue.push(at, new Named(`${step}`, fired));
            model.push({ at, name: `${step}` });
          }
        }
        expect({ seed, fired }).toEqual({ seed, fired: expected });
      }
    },
    SLOW_MACHINE_MS,
  );
});
