import { describe, expect, test } from "bun:test";
import { PeerMemory } from "../../../../src/core/peer/memory.ts";

const NEVER_TRIED = Number.NEGATIVE_INFINITY;
const WORKED = { winner: "hardnat", role: "nat3", elapsedMs: 700, at: 5_000 } as const;

describe("what is remembered of a peer", () => {
  test("pauses double from ten seconds to five minutes", () => {
    const memory = new PeerMemory();
    const pauses = Array.from({ length: 8 }, () => {
      memory.failed(0, "office", false);
      return memory.nextAt("office") / 1_000;
    });
    expect(pauses).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
    expect(memory.nextAt("home")).toBe(NEVER_TRIED);
  });

  test("success ends the pauses, and is remembered until it failed twice", () => {
    const memory = new PeerMemory();
    memory.failed(0, "office", false);
    memory.succeeded("office", WORKED);
    expect([memory.worked("office"), memory.nextAt("office")]).toEqual([WORKED, NEVER_TRIED]);
    memory.failed(0, "office", false);
    expect([memory.worked("office"), memory.nextAt("office")]).toEqual([WORKED, 10_000]);
    memory.failed(0, "office", false);
    expect(memory.worked("office")).toBeUndefined();
  });

  test("tries of hard-NAT are counted by themselves: one that knew too little to try it swaps no roles", () => {
    const memory = new PeerMemory();
    const punches: number[] = [];
    for (const enteredHardNat of [false, true, false, true]) {
      memory.failed(0, "office", enteredHardNat);
      punches.push(memory.punches("office"));
    }
    expect(punches).toEqual([0, 1, 1, 2]);
    memory.succeeded("office", WORKED);
    expect(memory.punches("office")).toBe(0);
  });

  test("a path that was lost is not a failure, but waits as well", () => {
    const memory = new PeerMemory();
    memory.succeeded("office", WORKED);
    memory.lost(1_000, "office");
    expect([memory.nextAt("office"), memory.worked("office")]).toEqual([11_000, WORKED]);
    memory.failed(20_000, "office", false);
    expect(memory.nextAt("office")).toBe(30_000);
  });

  test("another network, another try: with everybody if it is our own, with one peer if it is that one's", () => {
    const memory = new PeerMemory();
    for (const cn of ["office", "cafe", "attic"]) memory.failed(0, cn, false);
    memory.forget("office");
    expect([memory.nextAt("office"), memory.nextAt("cafe")]).toEqual([NEVER_TRIED, 10_000]);
    memory.forget();
    expect([memory.nextAt("cafe"), memory.nextAt("attic")]).toEqual([NEVER_TRIED, NEVER_TRIED]);
  });

  test("of 257 peers the one that was not heard of longest is forgotten", () => {
    const memory = new PeerMemory();
    for (let number = 0; number < 256; number++) memory.failed(0, `peer${number}`, false);
    memory.failed(0, "peer0", false);
    memory.failed(0, "another", false);
    const next = ["peer0", "peer1", "another"].map((cn) => memory.nextAt(cn));
    expect(next).toEqual([20_000, NEVER_TRIED, 10_000]);
  });
});
