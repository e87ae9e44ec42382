import { describe, expect, test } from "bun:test";
import type { IceEvent } from "../../src/core/ice/ice-agent.ts";
import { connect, type IceEnd, type IceRun, runIce, talk } from "../contract/ice-run.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type MapSpec } from "../contract/world.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { addressOf, endId } from "./packet.ts";
import { openSimWorld, type SimOptions, type SimWorld } from "./sim-world.ts";

const HOMES = [{ host: "a1" }, { host: "b1" }] as const;

/** One run on a fresh map: how it ended, and whether words went over what was selected. */
async function outcome(
  map: MapSpec,
  ends: readonly [IceEnd, IceEnd],
  options: SimOptions,
  skewMs = 0,
): Promise<{ ends: string; talk: string; ms: number }> {
  await using world = openSimWorld(map, options);
  const run = await runIce(world, new Random(options.seed), ends, { skewMs });
  return { ends: run.ends.join(" "), talk: await talk(world, run), ms: run.ms };
}

/** The same each time: where datagrams get lost, all that would open a way can be, if seldom enough. */
function fixedSeeds(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Lets both ends go on for a while, and tells what they said in that time. */
async function goOn(world: SimWorld, { peers }: IceRun, ms: number): Promise<IceEvent["type"][][]> {
  const before = peers.map(({ events }) => events.length);
  await world.until(() => false, ms);
  return peers.map(({ events }, index) => events.slice(before[index]).map(({ type }) => type));
}

const REFLEXIVE = /^[sp]rflx [sp]rflx$/;
const FAILED = { ends: "timeout timeout", talk: "nothing heard" };

const NAMES = (Object.keys(NATS) as NatName[]).filter((name) => name !== "short-lived");
/** Written by hand: which kinds behave alike, and which pairs of kinds can be punched. */
const KIND: Partial<Record<NatName, "open-filter" | "port-filter" | "symmetric" | "blocked">> = {
  "full-cone": "open-filter",
  "address-restricted": "open-filter",
  "full-cone-random-port": "open-filter",
  "address-restricted-random-port": "open-filter",
  "full-cone-hairpin": "open-filter",
  "port-restricted": "port-filter",
  "port-restricted-random-port": "port-filter",
  "port-restricted-hairpin": "port-filter",
  "port-restricted-accept": "port-filter",
  "port-restricted-reject": "port-filter",
  symmetric: "symmetric",
  "symmetric-sequential": "symmetric",
  blocked: "blocked",
};

describe("ICE through every pair of NATs", () => {
  for (const a of NAMES)
    test(`${a} with each`, async () => {
      for (const b of NAMES) {
        const kinds = [KIND[a], KIND[b]];
        const direct =
          !kinds.includes("blocked") &&
          !(kinds[0] === "symmetric" && kinds[1] === "symmetric") &&
          !(kinds.includes("symmetric") && kinds.includes("port-filter"));
        for (const seed of [1, 2, 3]) {
          const { ms: _, ...seen } = await outcome({ a, b }, HOMES, { seed });
          const expected = direct ? { ends: expect.stringMatching(REFLEXIVE), talk: "straight" } : FAILED;
          expect({ a, b, seed, ...seen }).toEqual({ a, b, seed, ...expected });
        }
      }
    });

  test("a public host and one behind whatever NAT, either controlling", async () => {
    for (const a of NAMES)
      for (const controlling of [true, false]) {
        const ends = [
          { host: "a1", controlling },
          { host: "peer", controlling: !controlling },
        ] as const;
        const { ms: _, ...seen } = await outcome({ a }, ends, { seed: 1 });
        const expected =
          KIND[a] === "blocked" ? FAILED : { ends: expect.stringMatching(/^host [sp]rflx$/), talk: "straight" };
        expect({ a, controlling, ...seen }).toEqual({ a, controlling, ...expected });
      }
  });
});

describe("places", () => {
  const INSIDE = [{ host: "a1" }, { host: "a2" }] as const;
  const UNTOLD = [
    { host: "a1", tellsHosts: false },
    { host: "a2", tellsHosts: false },
  ] as const;
  const CARRIED = { a: "port-restricted", b: "port-restricted-random-port", bothBehindCarrier: true } as const;

  test.each([
    ["two hosts behind one NAT find each other inside", { a: "symmetric" }, INSIDE, /^host host$/],
    ["without their inside addresses over a NAT that hairpins", { a: "full-cone-hairpin" }, UNTOLD, REFLEXIVE],
    ["the same, port-restricted", { a: "port-restricted-hairpin" }, UNTOLD, REFLEXIVE],
    ["and not over one that does not", { a: "full-cone" }, UNTOLD, undefined],
    [
      "a carrier's NAT before the first",
      { a: "full-cone", b: "port-restricted", carrier: "port-restricted" },
      HOMES,
      REFLEXIVE,
    ],
    ["a symmetric one before the first", { a: "full-cone", b: "full-cone", carrier: "symmetric" }, HOMES, REFLEXIVE],
    [
      "a symmetric one, and too narrow a second",
      { a: "full-cone", b: "port-restricted", carrier: "symmetric" },
      HOMES,
      undefined,
    ],
    ["both behind one carrier that hairpins", { ...CARRIED, carrier: "full-cone-hairpin" }, HOMES, REFLEXIVE],
    ["both behind one that does not", { ...CARRIED, carrier: "full-cone" }, HOMES, undefined],
  ] as const)("%s", async (_, map, ends, reached) => {
    for (const seed of [1, 2, 3]) {
      const { ms: _, ...seen } = await outcome(map, ends, { seed });
      const expected = reached === undefined ? FAILED : { ends: expect.stringMatching(reached), talk: "straight" };
      expect({ seed, ...seen }).toEqual({ seed, ...expected });
    }
  });

  test("a port mapping opens what no punching can", async () => {
    for (const seed of [1, 2, 3])
      for (const mapped of [undefined, { address: ADDRESSES.natA, port: 7_000 }]) {
        await using world = openSimWorld({ a: "symmetric", b: "symmetric" }, { seed });
        if (mapped !== undefined) world.nat("a").forward(mapped.port, endId(addressOf(ADDRESSES.a1), 5_000));
        const a1 = mapped === undefined ? { host: "a1" } : { host: "a1", mapped };
        const run = await runIce(world, new Random(seed), [a1, { host: "b1" }]);
        const seen = { seed, ends: run.ends.join(" "), talk: await talk(world, run) };
        expect(seen).toEqual({ seed, ...(mapped ? { ends: "prflx srflx", talk: "straight" } : FAILED) });
      }
  });

  test("hosts with several interfaces: all are tried, and both ends use the same two", async () => {
    for (const seed of fixedSeeds(20)) {
      await using world = openSimWorld({ a: "port-restricted" }, { seed, loss: 0.1 });
      const addresses = ["203.0.113.31", "203.0.113.32", "203.0.113.33"];
      world.addPublicHost("many", addresses);
      const run = await runIce(world, new Random(seed), [{ host: "many", addresses }, { host: "a1" }]);
      const seen = { seed, ends: run.ends.join(" "), talk: await talk(world, run) };
      expect(seen).toEqual({ seed, ends: expect.stringMatching(/^[sp]rflx host$/), talk: "straight" });
    }
  });
});

describe("time and loss", () => {
  const PAIRS = [
    { a: "port-restricted", b: "full-cone-random-port" },
    { a: "symmetric", b: "address-restricted" },
    { a: "port-restricted", b: "port-restricted-reject" },
  ] as const;

  test(
    "what is lost, doubled and disordered: still a pair, the same at both ends",
    async () => {
      for (const seed of fixedSeeds(300)) {
        const map = PAIRS[seed % PAIRS.length] as MapSpec;
        const weather = { loss: 0.1, duplication: 0.05, reordering: 0.1 };
        const { ms: _, ...seen } = await outcome(map, HOMES, { seed, ...weather }, seed % 400);
        const expected = { ends: expect.stringMatching(REFLEXIVE), talk: "straight" };
        expect({ seed, ...seen }).toEqual({ seed, ...expected });
      }
    },
    SLOW_MACHINE_MS,
  );

  test("whatever role each side thinks it has", async () => {
    for (const seed of fixedSeeds(60))
      for (const controlling of [true, false]) {
        const ends = [
          { host: "a1", controlling },
          { host: "b1", controlling },
        ] as const;
        const { ms: _, ...seen } = await outcome({ a: "port-restricted", b: "port-restricted" }, ends, {
          seed,
          loss: 0.05,
        });
        const expected = { ends: expect.stringMatching(REFLEXIVE), talk: "straight" };
        expect({ seed, controlling, ...seen }).toEqual({ seed, controlling, ...expected });
      }
  });

  test("one that begins 4 s after the other", async () => {
    for (const seed of fuzzSeeds("ice, late", 30)) {
      const map = { a: "port-restricted", b: "port-restricted" } as const;
      const { ms: _, ...seen } = await outcome(map, HOMES, { seed }, 4_000);
      expect({ seed, ...seen }).toEqual({ seed, ends: expect.stringMatching(REFLEXIVE), talk: "straight" });
    }
  });

  test("without loss it is a matter of four round trips", async () => {
    for (const seed of fuzzSeeds("ice, quick", 50)) {
      // 40 ms there and back.
      const { ms } = await outcome({ a: "port-restricted", b: "port-restricted" }, HOMES, { seed });
      expect({ seed, quick: ms <= 4 * 40 + 150, ms }).toEqual({ seed, quick: true, ms });
    }
  });
});

describe("afterwards", () => {
  const MAP = { a: "port-restricted", b: "port-restricted" } as const;
  const open = async (seed: number, loss = 0) => {
    const world = openSimWorld(MAP, { seed, loss });
    return { world, run: await runIce(world, new Random(seed), HOMES) };
  };

  test("consent outlives an hour of a lossy link, and keeps the NATs open", async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { world, run } = await open(seed, 0.05);
      const said = await goOn(world, run, 3_600_000);
      expect({ seed, said, talk: await talk(world, run) }).toEqual({ seed, said: [[], []], talk: "straight" });
    }
  });

  test("a peer that vanishes: its consent is gone 30 s after its last answer", async () => {
    for (const seed of fuzzSeeds("ice, gone", 20)) {
      const { world, run } = await open(seed);
      await world.until(() => false, 60_000);
      run.peers[1].stop();
      // The last answer may be 6 s old.
      const said = [await goOn(world, run, 23_900), await goOn(world, run, 6_200)];
      expect({ seed, said }).toEqual({
        seed,
        said: [
          [[], []],
          [["consent-lost"], []],
        ],
      });
    }
  });

  test("a restart while the old path goes on: nothing is lost meanwhile, then the new pair counts", async () => {
    for (const seed of fuzzSeeds("ice, restart", 20)) {
      const { world, run } = await open(seed);
      await world.until(() => false, 20_000);
      for (const { machine } of run.peers) machine.restart();
      const before = await talk(world, run);
      await connect(world, run.peers);
      const events = run.peers.map(({ events }) => events.map(({ type, generation }) => `${type} ${generation}`));
      expect({ seed, before, events, after: await talk(world, run) }).toEqual({
        seed,
        before: "straight",
        events: [
          ["selected 0", "selected 1"],
          ["selected 0", "selected 1"],
        ],
        after: "straight",
      });
      expect(await goOn(world, run, 120_000)).toEqual([[], []]);
    }
  });

  test("after a NAT has forgotten everything, a restart finds the way again", async () => {
    for (const seed of fuzzSeeds("ice, forgotten", 20)) {
      await using world = openSimWorld({ a: "full-cone", b: "port-restricted-random-port" }, { seed });
      const run = await runIce(world, new Random(seed), HOMES);
      world.nat("b").forget();
      for (const { machine } of run.peers) machine.restart();
      await connect(world, run.peers);
      expect({ seed, talk: await talk(world, run) }).toEqual({ seed, talk: "straight" });
    }
  });
});
