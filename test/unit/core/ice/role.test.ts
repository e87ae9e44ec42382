import { describe, expect, test } from "bun:test";
import { Role } from "../../../../src/core/ice/role.ts";

/** A role whose tie-breakers are these, one after the other. */
function role(controlling: boolean, ...tieBreakers: bigint[]): Role {
  return new Role(controlling, () => {
    // In the middle of a longer buffer, as the system's randomness may come.
    const pool = new Uint8Array(24);
    new DataView(pool.buffer).setBigUint64(8, tieBreakers.shift() ?? 0n);
    return pool.subarray(8, 16);
  });
}

const BIG = 2n ** 64n - 1n;

describe("a check of the peer (RFC 8445 §7.3.1.1)", () => {
  test.each([
    // ours, tie-breaker, theirs, tie-breaker → do they have to give in, do we control afterwards
    [true, 5n, "iceControlling", 4n, false, true],
    [true, 5n, "iceControlling", 5n, false, true],
    [true, 5n, "iceControlling", 6n, true, false],
    [false, 5n, "iceControlled", 4n, true, true],
    [false, 5n, "iceControlled", 5n, true, true],
    [false, 5n, "iceControlled", 6n, false, false],
    [true, BIG, "iceControlling", BIG - 1n, false, true],
    [false, 0n, "iceControlled", BIG, false, false],
    [true, 5n, "iceControlled", 6n, true, true],
    [true, 5n, "iceControlled", 4n, true, true],
    [false, 5n, "iceControlling", 6n, true, false],
    [false, 5n, "iceControlling", 4n, true, false],
  ] as const)(
    "controlling %p with %p, %s with %p: accepted %p, controlling %p",
    (ours, tie, theirs, other, ok, after) => {
      const one = role(ours, tie);
      expect([one.settle({ [theirs]: other }), one.controlling]).toEqual([ok, after]);
    },
  );

  test("a peer that claims nothing has no conflict", () => {
    const one = role(true, 5n);
    expect([one.settle({}), one.controlling]).toEqual([true, true]);
  });

  test.each([
    [true, 5n, true, 3n],
    [true, 3n, true, 5n],
    [false, 5n, false, 3n],
    [false, 3n, false, 5n],
    [true, 5n, true, 5n],
  ] as const)("two that both say %p (%p) and %p (%p) end with one that controls", (a, tieA, b, tieB) => {
    const [one, other] = [role(a, tieA), role(b, tieB, 99n)];
    const check = (from: Role, to: Role) => {
      const claimed = from.controlling;
      if (!to.settle(from.attributes)) from.yield(claimed);
    };
    check(one, other);
    check(other, one);
    expect([one.controlling, other.controlling].filter(Boolean)).toEqual([true]);
  });
});

describe("an answer 487 (§7.2.5.1)", () => {
  test("the other role, with another tie-breaker", () => {
    const one = role(true, 5n, 7n, 9n);
    one.yield(true);
    expect([one.controlling, one.attributes]).toEqual([false, { iceControlled: 7n }]);
    one.yield(false);
    expect([one.controlling, one.attributes]).toEqual([true, { iceControlling: 9n }]);
  });

  test("to a check that claimed a role which is not ours any more: nothing", () => {
    const one = role(true, 5n, 7n);
    one.yield(false);
    expect([one.controlling, one.attributes]).toEqual([true, { iceControlling: 5n }]);
  });
});
