import { describe, expect, test } from "bun:test";
import { PORT_COUNT } from "../../src/core/punch/ports.ts";
import type { PunchEvent } from "../../src/core/punch/punch-event.ts";
import { ADDRESSES } from "../contract/world.ts";
import { confirmed, type PunchPair, type PunchPlan, startPunch } from "./punch-pair.ts";
import { openSimWorld, type SimMap, type SimOptions, type SimWorld } from "./sim-world.ts";

const SOCKETS = 256;
const LIMIT_MS = 25_000;
/** Fixed seeds: what passes once passes always. */
const SEEDS = Array.from({ length: 100 }, (_, i) => i + 1);

const HOME: SimMap = { a: "symmetric", b: "port-restricted" };
const CARRIER: SimMap = { a: "port-restricted", b: "port-restricted", carrier: "symmetric" };
const BEHIND_CARRIER = { host: "a1", address: ADDRESSES.carrier } as const;

interface Run extends PunchPair {
  readonly world: SimWorld;
  /** Which port of the nat3 side hit; undefined where none did. */
  readonly ports: number | undefined;
}

async function run(map: SimMap, plan: PunchPlan, quality: Partial<SimOptions> = {}): Promise<Run> {
  const world = openSimWorld(map, { ...quality, seed: plan.seed });
  const pair = await startPunch(world, plan);
  expect({ seed: plan.seed, over: await world.until(pair.over, LIMIT_MS) }).toEqual({ seed: plan.seed, over: true });
  return { ...pair, world, ports: confirmed(pair.nat3)[0]?.ports };
}

/** One run for each seed; each one ended in the same pair at both ends, or in none. The ports of those that hit. */
async function runs(map: SimMap, plan: Omit<PunchPlan, "seed"> = {}, quality: Partial<SimOptions> = {}) {
  const hits: number[] = [];
  for (const seed of SEEDS) {
    const pair = await run(map, { ...plan, seed }, quality);
    expectOnePair(seed, pair);
    if (pair.ports !== undefined) hits.push(pair.ports);
  }
  return hits;
}

/** Both ends confirmed the same probe of the same nonces, once; or neither did anything. */
function expectOnePair(seed: number, { nat3, nat4 }: PunchPair): void {
  const [one, other] = [confirmed(nat3), confirmed(nat4)];
  expect({ seed, one: one.map(({ packet }) => packet) }).toEqual({ seed, one: other.map(({ packet }) => packet) });
  expect({ seed, pairs: one.length <= 1 }).toEqual({ seed, pairs: true });
}

function verdicts({ nat3, nat4 }: PunchPair): unknown[] {
  const verdict = (event: PunchEvent | undefined) => (event?.type === "failed" ? event.failure.verdict : event?.type);
  return [verdict(nat3.events.at(-1)), verdict(nat4.events.at(-1))];
}

describe("port-restricted × symmetric", () => {
  test("256 sockets: 99 of 100 runs hit within 2,000 ports", async () => {
    const hits = await runs(HOME);
    expect(hits.filter((ports) => ports <= 2_000).length).toBeGreaterThanOrEqual(99);
  });

  test("the ports it takes are distributed as 1 − (1 − K/64512)^N says", async () => {
    // All mappings are open when the first port is tried, ports are drawn independently, and paths are equally long: so
    // the first that fits is the first that answers, and its place is geometric. Kolmogorov–Smirnov, 100 samples: with
    // other seeds D would exceed 0.27 once in a million times.
    const hits = (await runs(HOME, { order: "random", nat3DelayMs: 1_000 })).sort((one, other) => one - other);
    expect(hits.length).toBeGreaterThanOrEqual(99);
    const expected = (ports: number) => 1 - (1 - SOCKETS / PORT_COUNT) ** ports;
    const distances = hits.flatMap((ports, i) => [
      Math.abs(expected(ports) - (i + 1) / SEEDS.length),
      Math.abs(expected(ports - 1) - i / SEEDS.length),
    ]);
    expect(Math.max(...distances)).toBeLessThan(0.27);
  });

  test.each([
    ["a router that accepts what comes to it", { ...HOME, b: "port-restricted-accept" }, {}],
    ["a router that rejects it", { ...HOME, b: "port-restricted-reject" }, {}],
    ["a full cone", { ...HOME, b: "full-cone" }, {}],
    ["a nat4 side behind a carrier", CARRIER, { nat4: BEHIND_CARRIER }],
    [
      "a nat4 side behind a carrier, a router that accepts",
      { ...CARRIER, b: "port-restricted-accept" },
      { nat4: BEHIND_CARRIER },
    ],
  ] as const)("%s: 99 of 100 runs hit", async (_, map, plan) => {
    // Fewer repetitions: it is the ports that count.
    expect((await runs(map, { ...plan, settings: { intervalMs: 1_000 } })).length).toBeGreaterThanOrEqual(99);
  });

  test("a router that accepts, and a nat3 side that starts three seconds late", async () => {
    const plan = { nat3DelayMs: 3_000, settings: { windowMs: 20_000, intervalMs: 1_000 } };
    expect((await runs({ ...HOME, b: "port-restricted-accept" }, plan)).length).toBeGreaterThanOrEqual(95);
  });

  test("a tenth of all packets lost, doubled or late: still one pair, the same at both ends", async () => {
    const hits = await runs(HOME, {}, { loss: 0.1, duplication: 0.1, reordering: 0.1 });
    expect(hits.length).toBeGreaterThanOrEqual(99);
  });

  test("neither router holds more than it was promised", async () => {
    const { world, nat3, nat4 } = await run({ ...HOME, b: "symmetric" }, { seed: 1 });
    expect([nat3.machine.ports, world.nat("b").table.peakFlows]).toEqual([2_048, 2_048]);
    expect([nat4.machine.ports, world.nat("a").table.peakFlows]).toEqual([SOCKETS, SOCKETS]);
  });

  test("after it was settled neither side sends anything", async () => {
    const { world, nat3, nat4 } = await run(HOME, { seed: 1 });
    const before = [nat3.machine.packets, nat4.machine.packets];
    await world.until(() => false, 60_000);
    expect([nat3.machine.packets, nat4.machine.packets]).toEqual(before);
  });
});

test("symmetric × symmetric: found out by both ends", async () => {
  const pair = await run({ a: "symmetric", b: "symmetric" }, { seed: 1 });
  expect(verdicts(pair)).toEqual(["not-by-chance", "not-by-chance"]);
});

test("another token: both ends say so, and neither believes anything", async () => {
  const pair = await run(HOME, { seed: 1, tokens: { nat3: "one", nat4: "another" } });
  expect(verdicts(pair)).toEqual(["wrong-token", "wrong-token"]);
  expect(pair.nat4.events.length).toBe(1);
});

test("two runs side by side behind the same two NATs: each finds its own", async () => {
  for (const seed of SEEDS.slice(0, 20)) {
    const world = openSimWorld(HOME, { seed });
    const at = (port: number) => ({ host: "b1", address: ADDRESSES.natB, port }) as const;
    const first = await startPunch(world, { seed, tokens: { nat3: "first", nat4: "first" }, nat3: at(4_000) });
    const second = await startPunch(world, {
      ...{ seed: seed + 1_000, tokens: { nat3: "second", nat4: "second" }, nat3: at(4_001) },
      nat4: { host: "a2", address: ADDRESSES.natA },
    });
    expect(await world.until(() => first.over() && second.over(), LIMIT_MS)).toBe(true);
    expect([verdicts(first), verdicts(second)]).toEqual([
      ["done", "done"],
      ["done", "done"],
    ]);
    expect([confirmed(first.nat4)[0]?.remote.port, confirmed(second.nat4)[0]?.remote.port]).toEqual([4_000, 4_001]);
  }
});
