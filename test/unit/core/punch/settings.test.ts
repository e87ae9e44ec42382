import { expect, test } from "bun:test";
import { clampPunchSettings, PUNCH_DEFAULTS } from "../../../../src/core/punch/settings.ts";

test("what a peer leaves out, or says in a way that means nothing, is the default", () => {
  expect(clampPunchSettings({})).toEqual(PUNCH_DEFAULTS);
  const nonsense = {
    socketCount: "many",
    scanCount: Number.NaN,
    intervalMs: null,
    ttl: {},
    noTtl: "yes",
    windowMs: [],
  };
  expect(clampPunchSettings(nonsense)).toEqual(PUNCH_DEFAULTS);
});

test.each([
  ["low", -1, [1, 1, 20, 100, 1, 500]],
  ["high", 1e12, [1_024, 4_096, 60_000, 300_000, 255, 300_000]],
  ["endless", Number.POSITIVE_INFINITY, [1_024, 4_096, 60_000, 300_000, 255, 300_000]],
  ["with a fraction", 600.9, [600, 600, 600, 600, 255, 600]],
])("what a peer asks for is brought into range: too %s", (_, value, limits) => {
  const asked = { socketCount: value, scanCount: value, intervalMs: value, batchIntervalMs: value, ttl: value };
  const { noTtl, ...clamped } = clampPunchSettings({ ...asked, windowMs: value, noTtl: true });
  expect([noTtl, Object.values(clamped)]).toEqual([true, limits]);
});
