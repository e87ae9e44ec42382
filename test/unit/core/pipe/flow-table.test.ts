import { describe, expect, test } from "bun:test";
import { FIRST_UDP_FLOW, FlowNumbers } from "../../../../src/core/pipe/flow-numbers.ts";
import { FlowTable } from "../../../../src/core/pipe/flow-table.ts";
import { NEVER } from "../../../../src/core/time.ts";

interface Named {
  readonly name: string;
  usedAt: number;
}

const table = () => new FlowTable<string, Named>({ maxFlows: 3, idleMs: 100 });
const flow = (name: string, usedAt: number): Named => ({ name, usedAt });

describe("a flow table", () => {
  test("finds what it was given, and nothing else", () => {
    const flows = table();
    const a = flow("a", 0);
    expect(flows.add("a", a)).toBeUndefined();
    expect([flows.get("a"), flows.get("b"), flows.size]).toEqual([a, undefined, 1]);
    flows.delete("a");
    expect([flows.get("a"), flows.size]).toEqual([undefined, 0]);
  });

  test("ends what rested, not what was used meanwhile", () => {
    const flows = table();
    const [a, b] = [flow("a", 0), flow("b", 10)];
    expect(flows.nextTimeout()).toBe(NEVER);
    flows.add("a", a);
    flows.add("b", b);
    expect([flows.nextTimeout(), flows.expire(99)]).toEqual([100, []]);
    a.usedAt = 60;
    expect([flows.nextTimeout(), flows.expire(110)]).toEqual([110, [b]]);
    expect([flows.nextTimeout(), flows.expire(160), flows.size, flows.nextTimeout()]).toEqual([160, [a], 0, NEVER]);
  });

  test("lets go of what rested longest when it is full", () => {
    const flows = table();
    const [a, b, c, d] = [flow("a", 3), flow("b", 1), flow("c", 2), flow("d", 4)];
    for (const one of [a, b, c]) expect(flows.add(one.name, one)).toBeUndefined();
    expect(flows.add("d", d)).toBe(b);
    expect([flows.size, flows.get("b")]).toEqual([3, undefined]);
    expect(flows.clear()).toEqual([a, c, d]);
    expect(flows.size).toBe(0);
  });
});

describe("flow numbers", () => {
  test("come in turn, and again only after all others", () => {
    const numbers = new FlowNumbers();
    const first = Array.from({ length: 65_534 }, () => numbers.take(() => false));
    expect([first[0], first.at(-1), new Set(first).size]).toEqual([FIRST_UDP_FLOW, 0xffff, 65_534]);
    expect(numbers.take((flow) => flow < 5)).toBe(5);
  });
});
