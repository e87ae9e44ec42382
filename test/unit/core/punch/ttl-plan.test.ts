import { expect, test } from "bun:test";
import { PUNCH_DEFAULTS, type PunchSettings } from "../../../../src/core/punch/settings.ts";
import { TtlPlan } from "../../../../src/core/punch/ttl-plan.ts";

function ttls(settings: Partial<PunchSettings>, socket: number, times: readonly number[]): (number | undefined)[] {
  const plan = new TtlPlan({ ...PUNCH_DEFAULTS, ...settings });
  return times.map((time) => plan.ttl(socket, time));
}

test("auto: all begin right behind a home router; odd ones climb after a fifth of the window", () => {
  const times = [0, 1_999, 2_000, 4_999, 5_000, 5_399, 5_400, 6_999, 7_000, 9_999];
  expect(ttls({}, 1, times)).toEqual([2, 2, 3, 3, 4, 4, 5, 8, undefined, undefined]);
});

test("auto: even ones stay there for half of it", () => {
  expect(ttls({}, 0, [0, 4_999, 5_000, 7_999, 8_000, 9_999])).toEqual([2, 2, 3, 3, 4, 8]);
});

test("auto: in a long window the climb takes no longer than it has to", () => {
  const times = [1_999, 2_000, 5_999, 6_000, 6_999, 7_000, 10_999, 11_000];
  expect(ttls({ windowMs: 300_000 }, 255, times)).toEqual([2, 3, 3, 4, 4, 5, 8, undefined]);
  expect(ttls({ windowMs: 300_000 }, 254, [149_999, 150_000, 299_999])).toEqual([2, 3, undefined]);
});

test("a given TTL is everybody's, and no_ttl means the system's own", () => {
  const given = [0, 1].map((socket) => ttls({ ttl: 4 }, socket, [0, 9_000]));
  expect([given, ttls({ ttl: 4, noTtl: true }, 0, [0, 9_000])]).toEqual([
    [
      [4, 4],
      [4, 4],
    ],
    [undefined, undefined],
  ]);
});
