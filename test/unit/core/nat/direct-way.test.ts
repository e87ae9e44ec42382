import { expect, test } from "bun:test";
import { directWay, type NatKind } from "../../../../src/core/nat/direct-way.ts";

const KINDS = {
  open: { type: "open", filtering: "endpoint-independent" },
  full: { type: "cone", filtering: "endpoint-independent" },
  address: { type: "cone", filtering: "address-dependent" },
  port: { type: "cone", filtering: "address-and-port-dependent" },
  cone: { type: "cone", filtering: null },
  symmetric: { type: "symmetric", filtering: "address-and-port-dependent" },
  blocked: { type: "blocked", filtering: null },
  unknown: { type: "unknown", filtering: null },
} as const satisfies Record<string, NatKind>;

test("every pair of kinds, whichever end asks", () => {
  const names = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const rows = names.map((one) => [one, ...names.map((other) => directWay(KINDS[one], KINDS[other]) ?? "?")]);
  expect([["", ...names], ...rows].map((row) => row.join(" "))).toEqual([
    " open full address port cone symmetric blocked unknown",
    "open plain plain plain plain plain plain relay ?",
    "full plain plain plain plain plain plain relay ?",
    "address plain plain plain plain plain plain relay ?",
    "port plain plain plain plain plain hard-nat relay ?",
    "cone plain plain plain plain plain ? relay ?",
    "symmetric plain plain plain hard-nat ? relay relay ?",
    "blocked relay relay relay relay relay relay relay relay",
    "unknown ? ? ? ? ? ? relay ?",
  ]);
});
