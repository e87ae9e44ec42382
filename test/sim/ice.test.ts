import { describe, expect, test } from "bun:test";
import { StunServer } from "../../src/core/stun/server.ts";
import { IcePeer } from "../contract/ice-peer.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type HostName, type MapSpec } from "../contract/world.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { openSimWorld, type SimOptions } from "./sim-world.ts";

const STUN = { address: ADDRESSES.stun, port: 3_478 };
const CREDENTIALS = {
  one: { ufrag: "left", pwd: "leftleftleftleftleftleft" },
  other: { ufrag: "rite", pwd: "riteriteriteriteriterite" },
};

interface Run {
  /** What both ends ended with: where each sends, or why not. */
  readonly ends: readonly [string, string];
  readonly ms: number;
}

async function connect(map: MapSpec, hosts: readonly [HostName, HostName], options: SimOptions): Promise<Run> {
  await using world = openSimWorld(map, options);
  const random = new Random(options.seed);
  await world.start("stun", [STUN], () => new StunServer({ sockets: [STUN] }));
  const peer = (host: HostName, controlling: boolean) =>
    world.start(host, [{ port: 5_000 }], (_local, now) => {
      return new IcePeer({
        now,
        random: (length) => random.bytes(length),
        controlling,
        local: controlling ? CREDENTIALS.one : CREDENTIALS.other,
        host: { address: ADDRESSES[host], port: 5_000 },
        stun: STUN,
      });
    });
  const one = await peer(hosts[0], true);
  const other = await peer(hosts[1], false);
  await world.until(() => one.machine.gathered && other.machine.gathered, 60_000);
  const startedAt = world.now();
  one.machine.connect(world.now(), other.machine);
  one.poke();
  other.machine.connect(world.now(), one.machine);
  other.poke();
  await world.until(() => one.events.length > 0 && other.events.length > 0, 10_000);
  const ends = [one, other].map(({ events: [event] }) => {
    if (event === undefined) return "nothing";
    return event.type === "selected" ? event.remote.type : event.type === "failed" ? event.cause : event.type;
  }) as [string, string];
  return { ends, ms: world.now() - startedAt };
}

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
          const { ends } = await connect({ a, b }, ["a1", "b1"], { seed });
          const reached = ends.map((end) => end === "srflx" || end === "prflx");
          expect({ a, b, seed, ends, reached }).toEqual({ a, b, seed, ends, reached: [direct, direct] });
        }
      }
    });
});

describe("ICE", () => {
  test("two hosts behind one NAT find each other inside", async () => {
    const { ends } = await connect({ a: "symmetric" }, ["a1", "a2"], { seed: 1 });
    expect(ends).toEqual(["host", "host"]);
  });

  test("a public host and one behind whatever NAT", async () => {
    for (const a of NAMES) {
      const { ends } = await connect({ a }, ["a1", "peer"], { seed: 1 });
      const reached = KIND[a] === "blocked" ? /^timeout timeout$/ : /^host (srflx|prflx)$/;
      expect({ a, ends: ends.join(" ") }).toEqual({ a, ends: expect.stringMatching(reached) });
    }
  });

  test("loses, doubles and disorders what it sends: still a pair, and both ends on the same one", async () => {
    for (const seed of fuzzSeeds("ice", 300)) {
      const map = { a: "port-restricted", b: "full-cone-random-port" } as const;
      const { ends } = await connect(map, ["a1", "b1"], { seed, loss: 0.1, duplication: 0.05, reordering: 0.1 });
      expect({ seed, ends: ends.join(" ") }).toEqual({ seed, ends: expect.stringMatching(/^[sp]rflx [sp]rflx$/) });
    }
  });
});
