import { describe, expect, test } from "bun:test";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { NATS, type NatSpec } from "../contract/nat-spec.ts";
import { describePorts } from "../contract/port-pattern.ts";
import { type RawHost, startRaw } from "../contract/raw-machine.ts";
import { ADDRESSES } from "../contract/world.ts";
import { openSimWorld, type SimWorld } from "./sim-world.ts";

/** What the contract cannot ask of real routers: kinds of NAT that `NATS` has no name for, and what a NAT holds. */
const STUN: Endpoint = { address: ADDRESSES.stun, port: 3478 };
const STUN_OTHER: Endpoint = { address: ADDRESSES.stun, port: 3479 };
const STUN_SECOND: Endpoint = { address: ADDRESSES.stunSecond, port: 3478 };
const PEER: Endpoint = { address: ADDRESSES.peer, port: 7_000 };
const PEER_OTHER: Endpoint = { address: ADDRESSES.peer, port: 7_001 };
const DESTINATIONS = [STUN, STUN_OTHER, STUN_SECOND, PEER, PEER_OTHER];
const INSIDE_PORT = 5_000;
const CONE: NatSpec = NATS["port-restricted"];
const SYMMETRIC: NatSpec = NATS.symmetric;

interface Stage {
  readonly world: SimWorld;
  readonly stun: RawHost;
  readonly peer: RawHost;
  readonly a1: RawHost;
}

async function open(spec: NatSpec, seed = 1): Promise<Stage> {
  const world = openSimWorld({ a: spec }, { seed });
  return {
    world,
    stun: await startRaw(world, "stun", DESTINATIONS.slice(0, 3)),
    peer: await startRaw(world, "peer", DESTINATIONS.slice(3)),
    a1: await startRaw(world, "a1", [{ port: INSIDE_PORT }]),
  };
}

/** The outside port of `host`'s only socket towards each of `destinations`, asked one after another. */
async function ports({ world, a1 }: Stage, destinations: readonly Endpoint[]): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = [];
  for (const to of destinations) {
    a1.ask(0, to);
    await world.until(() => false, 100);
    seen.push(a1.seenFrom(0, to)?.port);
  }
  return seen;
}

async function pass(world: SimWorld, seconds: number): Promise<void> {
  await world.until(() => false, seconds * 1_000);
}

describe("mapping", () => {
  test.each<[string, Partial<NatSpec>, string]>([
    ["address-dependent, random", { mapping: "address-dependent" }, "A A B C C"],
    ["by address and port, but preserved", { ports: "preserved" }, "own own own own own"],
    ["every third port", { ports: { sequential: 3 } }, "A A+3 A+6 A+9 A+12"],
    ["downwards by two", { ports: { sequential: -2 } }, "A A-2 A-4 A-6 A-8"],
    ["address-dependent, sequential", { mapping: "address-dependent", ports: { sequential: 2 } }, "A A A+2 A+4 A+4"],
    ["endpoint-independent, sequential", { mapping: "endpoint-independent", ports: { sequential: 1 } }, "A A A A A"],
  ])("%s", async (_name, change, expected) => {
    const stage = await open({ ...SYMMETRIC, ...change });
    expect(describePorts([await ports(stage, DESTINATIONS)], INSIDE_PORT)).toBe(expected);
  });

  test("sequential ports go round the end of the range", async () => {
    const stage = await open({ ...SYMMETRIC, ports: { sequential: 40_000 } });
    const [first = 0, second = 0, third = 0] = await ports(stage, [STUN, STUN_OTHER, STUN_SECOND]);
    const after = (port: number) => 1_024 + ((port - 1_024 + 40_000) % 64_512);
    expect([second, third]).toEqual([after(first), after(second)]);
  });

  test("a port is taken twice only where no destination can be meant by both; when none is left the NAT says so", async () => {
    const twoPorts = { ports: { sequential: 32_256 } } as const;
    const symmetric = await ports(await open({ ...SYMMETRIC, ...twoPorts }), [STUN, STUN_OTHER, PEER]);
    expect(describePorts([symmetric])).toBe("A B A");

    const { world } = await open({ ...CONE, ...twoPorts });
    const a2 = await startRaw(world, "a2", [{}, {}, {}]);
    for (const socket of [0, 1]) a2.ask(socket, STUN);
    await pass(world, 1);
    expect(describePorts([[0, 1].map((socket) => a2.seenFrom(socket, STUN)?.port)])).toBe("A B");
    expect(() => a2.ask(2, PEER)).toThrow("nat a has no free port left");
  });

  test("a random port is drawn from 1024 to 65535, evenly", async () => {
    const tenths = Array<number>(10).fill(0);
    for (let seed = 0; seed < 2_000; seed++) {
      const [port = 0] = await ports(await open(SYMMETRIC, seed), [STUN]);
      expect(port).toBeWithin(1_024, 65_536);
      const tenth = Math.floor(((port - 1_024) / 64_512) * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const count of tenths) expect(count).toBeWithin(140, 260);
  });
});

describe("filtering", () => {
  test.each<[string, Partial<NatSpec>, string[]]>([
    ["a symmetric NAT that lets everybody in", { filtering: "endpoint-independent" }, ["same", "port", "stranger"]],
    ["a symmetric NAT that lets an address in", { filtering: "address-dependent" }, ["same", "port"]],
    [
      "mapped by address, filtered by address and port",
      { mapping: "address-dependent", filtering: "address-and-port-dependent" },
      ["same"],
    ],
  ])("%s", async (_name, change, expected) => {
    const stage = await open({ ...SYMMETRIC, ...change });
    const { world, peer, stun, a1 } = stage;
    const [port = 0] = await ports(stage, [PEER]);
    const outside = { address: ADDRESSES.natA, port };
    peer.send(0, outside, "same");
    peer.send(1, outside, "port");
    stun.send(0, outside, "stranger");
    await pass(world, 0.1);
    expect(a1.heard.slice(1).map(({ text }) => text)).toEqual(expected);
    expect(world.counters.dropped.filtered).toBe(3 - expected.length);
  });
});

describe("what a NAT holds", () => {
  test("a flow for each pair of ends, a port for each mapping; all are gone after the lifetime", async () => {
    const stage = await open(CONE);
    const nat = stage.world.nat("a");
    await ports(stage, DESTINATIONS);
    expect(nat.table).toEqual({ flows: 5, peakFlows: 5, ports: 1 });
    await pass(stage.world, CONE.lifetimeSeconds - 0.3);
    expect(nat.table).toEqual({ flows: 3, peakFlows: 5, ports: 1 });
    await pass(stage.world, 0.3);
    expect(nat.table).toEqual({ flows: 0, peakFlows: 5, ports: 0 });
  });

  test("traffic in either direction keeps its flow, and no other one", async () => {
    const stage = await open(NATS["short-lived"]);
    await ports(stage, [STUN, PEER]);
    const outside = { address: ADDRESSES.natA, port: INSIDE_PORT };
    for (let second = 0; second < 3; second++) {
      await pass(stage.world, 2);
      stage.peer.send(0, outside, "inward");
    }
    await pass(stage.world, 1);
    expect(stage.world.nat("a").table.flows).toBe(1);
    for (let second = 0; second < 3; second++) {
      await pass(stage.world, 3);
      stage.a1.send(0, PEER, "outward");
    }
    expect(stage.world.nat("a").table.flows).toBe(1);
    stage.stun.send(0, outside, "too late");
    await pass(stage.world, 1);
    expect([
      stage.world.counters.dropped.filtered,
      stage.peer.heard.filter(({ text }) => text === "outward").length,
    ]).toEqual([1, 3]);
  });

  test("a random port is another one after its mapping's life", async () => {
    const stage = await open({ ...NATS["port-restricted-random-port"], lifetimeSeconds: 5 });
    const [first] = await ports(stage, [PEER]);
    await pass(stage.world, 4);
    const [kept] = await ports(stage, [PEER]);
    await pass(stage.world, 5);
    const [last] = await ports(stage, [PEER]);
    expect([kept === first, last === first]).toEqual([true, false]);
  });

  test("after a restart it knows nobody", async () => {
    const stage = await open(CONE);
    await ports(stage, DESTINATIONS);
    stage.world.nat("a").forget();
    expect(stage.world.nat("a").table).toEqual({ flows: 0, peakFlows: 5, ports: 0 });
    stage.peer.send(0, { address: ADDRESSES.natA, port: INSIDE_PORT }, "late");
    await pass(stage.world, 1);
    expect(stage.world.counters.dropped.filtered).toBe(1);
  });

  test("what a router took from a stranger blocks that port for him, until it is forgotten", async () => {
    const stage = await open({ ...NATS["port-restricted-accept"], lifetimeSeconds: 5 });
    stage.peer.send(0, { address: ADDRESSES.natA, port: INSIDE_PORT }, "early");
    await pass(stage.world, 1);
    expect(stage.world.nat("a").table).toEqual({ flows: 1, peakFlows: 1, ports: 0 });
    const [first] = await ports(stage, [PEER]);
    await pass(stage.world, 6);
    expect([first === INSIDE_PORT, await ports(stage, [PEER])]).toEqual([false, [INSIDE_PORT]]);
  });

  test("nothing is mapped for what dies at the NAT, and nothing where no UDP passes", async () => {
    const stage = await open(CONE);
    stage.a1.send(0, PEER, "short", 1);
    const blocked = await open(NATS.blocked);
    await ports(blocked, DESTINATIONS);
    expect([stage.world.nat("a").table.flows, stage.world.counters.dropped.ttl]).toEqual([0, 1]);
    expect([blocked.world.nat("a").table.flows, blocked.world.counters.dropped.blocked]).toEqual([0, 5]);
  });

  test("a scan of all ports towards one address: one port, a flow each", async () => {
    const stage = await open(CONE);
    for (let port = 1_024; port < 65_536; port++) stage.a1.send(0, { address: ADDRESSES.peer, port }, "probe", 2);
    expect(stage.world.nat("a").table).toEqual({ flows: 64_512, peakFlows: 64_512, ports: 1 });
    expect(stage.world.counters.icmp.timeExceeded).toBe(64_512);
  });
});
