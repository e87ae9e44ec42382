import { describe, expect, test } from "bun:test";
import type { NatKind } from "../../../../src/core/nat/direct-way.ts";
import {
  agreeHardNat,
  type HardNatTerms,
  hardNatWishes,
  planAttempt,
} from "../../../../src/core/peer/hard-nat-plan.ts";
import type { HardNatMode, HardNatOptions } from "../../../../src/core/peer/peer-options.ts";
import { PUNCH_DEFAULTS } from "../../../../src/core/punch/settings.ts";

const OPTIONS: HardNatOptions = { mode: "assist", role: "auto", assistDelayMs: 300, settings: PUNCH_DEFAULTS };
const OFF: HardNatOptions = { ...OPTIONS, mode: "off" };

const OPEN: NatKind = { type: "open", filtering: "endpoint-independent" };
const CONE: NatKind = { type: "cone", filtering: "endpoint-independent" };
const PORT: NatKind = { type: "cone", filtering: "address-and-port-dependent" };
const UNTESTED: NatKind = { type: "cone", filtering: null };
const SYMMETRIC: NatKind = { type: "symmetric", filtering: "address-and-port-dependent" };
const BLOCKED: NatKind = { type: "blocked", filtering: null };
const UNKNOWN: NatKind = { type: "unknown", filtering: null };

const FIRST = { isInitiator: true, isSwapped: false };

function terms(mode: HardNatMode, roles: Partial<HardNatTerms> = {}): HardNatTerms {
  return { mode, assistDelayMs: 300, settings: PUNCH_DEFAULTS, ownRole: "auto", peerRole: "auto", ...roles };
}

describe("what an offer says of hard-NAT", () => {
  test("nothing where it is off", () => expect(hardNatWishes(OFF)).toBeUndefined());

  test("every parameter otherwise, by the names of the config", () => {
    expect(hardNatWishes({ ...OPTIONS, role: "nat4" })).toEqual({
      mode: "assist",
      role: "nat4",
      socket_count: 256,
      scan_count: 512,
      interval_ms: 250,
      batch_interval_ms: 1_000,
      ttl: "auto",
      no_ttl: false,
      window_ms: 10_000,
      assist_delay_ms: 300,
    });
  });
});

describe("what both ends make of it", () => {
  const wishes = hardNatWishes(OPTIONS);

  test.each([
    ["both on", OPTIONS, wishes, "assist"],
    ["off here", OFF, wishes, "off"],
    ["a peer that does not know the field", OPTIONS, undefined, "off"],
    ["off there", OPTIONS, { mode: "off", role: "auto" }, "off"],
  ] as const)("%s", (_name, own, peer, mode) => {
    expect(agreeHardNat(own, peer, "responder").mode).toBe(mode);
    expect(agreeHardNat(own, peer, "initiator").mode).toBe(mode);
  });

  test("the initiator's mode and numbers count at both ends", () => {
    const initiator = { ...OPTIONS, mode: "fallback", settings: { ...PUNCH_DEFAULTS, socketCount: 64 } } as const;
    const responder = { ...OPTIONS, role: "nat3" } as const;
    const common = { mode: "fallback", assistDelayMs: 300, settings: initiator.settings } as const;
    expect(agreeHardNat(initiator, hardNatWishes(responder), "initiator")).toEqual({
      ...common,
      ownRole: "auto",
      peerRole: "nat3",
    });
    expect(agreeHardNat(responder, hardNatWishes(initiator), "responder")).toEqual({
      ...common,
      ownRole: "nat3",
      peerRole: "auto",
    });
  });

  test("whatever a peer asks for is brought into range", () => {
    const asked = {
      ...({ mode: "force", role: "auto" } as const),
      ...{ socket_count: 1e9, scan_count: -3, interval_ms: 0, batch_interval_ms: 1e12 },
      ...{ ttl: 4_000, window_ms: Number.NaN, assist_delay_ms: 1e9 },
    };
    expect(agreeHardNat(OPTIONS, asked, "responder")).toEqual({
      mode: "force",
      assistDelayMs: 10_000,
      settings: {
        ...{ socketCount: 1_024, scanCount: 1, intervalMs: 20, batchIntervalMs: 300_000 },
        ...{ ttl: 255, noTtl: false, windowMs: 10_000 },
      },
      ownRole: "auto",
      peerRole: "auto",
    });
  });
});

describe("the plan of an attempt", () => {
  test.each([
    // own, peer, mode, way, ICE, role
    [OPEN, SYMMETRIC, "assist", "plain", true, undefined],
    [CONE, SYMMETRIC, "assist", "plain", true, undefined],
    [PORT, PORT, "assist", "plain", true, undefined],
    [PORT, SYMMETRIC, "off", "hard-nat", true, undefined],
    [PORT, SYMMETRIC, "fallback", "hard-nat", true, "nat3"],
    [SYMMETRIC, PORT, "assist", "hard-nat", true, "nat4"],
    [SYMMETRIC, SYMMETRIC, "assist", "relay", false, undefined],
    [BLOCKED, CONE, "assist", "relay", false, undefined],
    [UNTESTED, SYMMETRIC, "assist", "unknown", true, "nat3"],
    [UNKNOWN, SYMMETRIC, "assist", "unknown", true, "nat3"],
    [SYMMETRIC, UNKNOWN, "fallback", "unknown", true, "nat4"],
    [UNKNOWN, UNKNOWN, "assist", "unknown", true, undefined],
    [UNKNOWN, CONE, "assist", "unknown", true, undefined],
    [PORT, SYMMETRIC, "force", "hard-nat", false, "nat3"],
    [SYMMETRIC, SYMMETRIC, "force", "relay", false, "nat3"],
  ] as const)("%j to %j, %s", (own, peer, mode, way, ice, role) => {
    expect(planAttempt(terms(mode), own, peer, FIRST)).toEqual({ way, mode, ice, role, isSameRole: false });
  });

  test("both ends of it never have the same role", () => {
    const kinds = [OPEN, CONE, PORT, UNTESTED, SYMMETRIC, BLOCKED, UNKNOWN];
    for (const mode of ["fallback", "assist", "force"] as const)
      for (const own of kinds)
        for (const peer of kinds)
          for (const isSwapped of [false, true]) {
            const here = planAttempt(terms(mode), own, peer, { isInitiator: true, isSwapped }).role;
            const there = planAttempt(terms(mode), peer, own, { isInitiator: false, isSwapped }).role;
            const expected = here === undefined ? undefined : here === "nat3" ? "nat4" : "nat3";
            expect({ mode, own, peer, isSwapped, there }).toEqual({ mode, own, peer, isSwapped, there: expected });
          }
  });

  test("configured to the same role they cannot meet by hard-NAT, which is said where it would have been tried", () => {
    const same = { ownRole: "nat3", peerRole: "nat3" } as const;
    const planned = (mode: "fallback" | "force", peer: NatKind) => planAttempt(terms(mode, same), PORT, peer, FIRST);
    const none = { role: undefined, isSameRole: true };
    expect(planned("fallback", SYMMETRIC)).toEqual({ way: "hard-nat", mode: "fallback", ice: true, ...none });
    expect(planned("force", SYMMETRIC)).toEqual({ way: "hard-nat", mode: "force", ice: false, ...none });
    expect(planned("fallback", CONE)).toMatchObject({ way: "plain", ice: true, isSameRole: false });
  });

  test("the second try swaps what was chosen, not what was configured", () => {
    const swapped = { isInitiator: true, isSwapped: true };
    expect(planAttempt(terms("assist"), PORT, SYMMETRIC, swapped).role).toBe("nat4");
    expect(planAttempt(terms("assist", { ownRole: "nat3" }), PORT, SYMMETRIC, swapped).role).toBe("nat3");
    expect(planAttempt(terms("assist", { peerRole: "nat3" }), PORT, SYMMETRIC, swapped).role).toBe("nat4");
  });
});
