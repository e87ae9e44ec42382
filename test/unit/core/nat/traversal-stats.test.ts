import { expect, test } from "bun:test";
import { type TraversalSnapshot, TraversalStats } from "../../../../src/core/nat/traversal-stats.ts";

const ZERO: TraversalSnapshot = {
  punches_attempted: 0,
  punches_succeeded: 0,
  relay_fallbacks: 0,
  port_mapping_active: false,
  port_mapping_external: undefined,
  port_mapping_renewals: 0,
  ice_success: 0,
  hardnat_success: 0,
  fallback_entered: 0,
  assist_winner_ice: 0,
  assist_winner_hardnat: 0,
  time_to_direct: { count: 0, sumMs: 0, buckets: Array(10).fill(0) },
};
const FIRST = { address: "203.0.113.7", port: 40_000 };
const SECOND = { address: "203.0.113.8", port: 40_001 };

test("starts with nothing", () => expect(new TraversalStats().snapshot()).toEqual(ZERO));

test("each record moves its own number, and a snapshot stays as it was", () => {
  const stats = new TraversalStats();
  const before = stats.snapshot();
  for (let i = 0; i < 3; i++) stats.recordPunchAttempt();
  for (let i = 0; i < 2; i++) stats.recordPunchSuccess();
  stats.recordRelayFallback();
  expect(stats.snapshot()).toEqual({ ...ZERO, punches_attempted: 3, punches_succeeded: 2, relay_fallbacks: 1 });
  expect(before).toEqual(ZERO);
});

test("an attempt counts by who won it, in which mode, and how long it took", () => {
  const stats = new TraversalStats();
  const won = { mode: "off", winner: "ice", staysOnRelay: false, elapsedMs: 40 } as const;
  const attempt = { ...won, wasMediated: true, enteredHardNat: false };
  const lost = { ...attempt, winner: null, staysOnRelay: true, elapsedMs: 15_000 };
  stats.recordAttempt(attempt);
  stats.recordAttempt({ ...attempt, mode: "assist", elapsedMs: 60, enteredHardNat: true });
  stats.recordAttempt({ ...attempt, mode: "assist", winner: "hardnat", elapsedMs: 3_000, enteredHardNat: true });
  stats.recordAttempt({ ...attempt, mode: "fallback", winner: "hardnat", elapsedMs: 60_000, enteredHardNat: true });
  stats.recordAttempt({ ...lost, mode: "fallback", enteredHardNat: true });
  stats.recordAttempt({ ...lost, wasMediated: false });
  // Cancelled: it counts as an attempt, and as nothing else.
  stats.recordAttempt({ ...lost, staysOnRelay: false });
  expect(stats.snapshot()).toEqual({
    ...ZERO,
    punches_attempted: 6,
    punches_succeeded: 4,
    relay_fallbacks: 2,
    ice_success: 2,
    hardnat_success: 2,
    fallback_entered: 2,
    assist_winner_ice: 1,
    assist_winner_hardnat: 1,
    time_to_direct: { count: 4, sumMs: 63_100, buckets: [1, 1, 0, 0, 0, 0, 1, 0, 0, 1] },
  });
});

test("a port mapping's life: installed, renewed, moved, revoked, installed anew", () => {
  const stats = new TraversalStats();
  const active = { ...ZERO, port_mapping_active: true };
  stats.recordPortMappingInstall(FIRST);
  expect(stats.snapshot()).toEqual({ ...active, port_mapping_external: FIRST });

  stats.recordPortMappingRenewal();
  stats.recordPortMappingRenewal();
  expect(stats.snapshot()).toEqual({ ...active, port_mapping_external: FIRST, port_mapping_renewals: 2 });

  // The seed's router reboot: another address, still the same mapping.
  stats.replacePortMappingExternal(SECOND);
  expect(stats.snapshot()).toEqual({ ...active, port_mapping_external: SECOND, port_mapping_renewals: 2 });

  stats.recordPortMappingRevoke();
  expect(stats.snapshot()).toEqual({ ...ZERO, port_mapping_renewals: 2 });

  stats.recordPortMappingInstall(FIRST);
  expect(stats.snapshot()).toEqual({ ...active, port_mapping_external: FIRST });
});

test("punches know nothing of port mappings", () => {
  const stats = new TraversalStats();
  stats.recordPunchAttempt();
  stats.recordPortMappingInstall(FIRST);
  stats.recordPortMappingRevoke();
  expect(stats.snapshot()).toEqual({ ...ZERO, punches_attempted: 1 });
});
