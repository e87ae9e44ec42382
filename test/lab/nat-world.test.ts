import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { NATS } from "../contract/nat-spec.ts";
import { type RawHost, startRaw } from "../contract/raw-machine.ts";
import { ADDRESSES, type HostName } from "../contract/world.ts";
import { describeLab } from "./describe-lab.ts";
import { inside } from "./inside.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";

const PORT = 4_000;
const PEER: Endpoint = { address: ADDRESSES.peer, port: PORT };
const LIMIT_MS = 2_000;

const run = (world: NatWorld, host: HostName) => startRaw(world, host, [{ port: PORT }]);

async function hears(world: NatWorld, host: RawHost, text: string): Promise<boolean> {
  return await world.until(() => host.hears(0, text), LIMIT_MS);
}

/** What the peer, who must be running, sees `host` as. */
async function mapping(world: NatWorld, host: RawHost): Promise<Endpoint> {
  const before = host.heard.length;
  host.ask(0, PEER);
  await world.until(() => host.heard.length > before, LIMIT_MS);
  const seen = host.seenFrom(0, PEER);
  if (seen === undefined) throw new Error("The peer does not answer");
  return seen;
}

/** A counter of a host's kernel, such as `Icmp: OutDestUnreachs`. */
function kernelCounter(world: NatWorld, host: HostName, group: string, name: string): number {
  const lines = inside(world.namespaceOf(host), () => readFileSync("/proc/thread-self/net/snmp", "utf8")).split("\n");
  const [names = "", values = ""] = lines.filter((line) => line.startsWith(`${group}:`));
  return Number(values.split(" ")[names.split(" ").indexOf(name)]);
}

describeLab("the internet of NATs", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open();
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  test("never carries a private address, whatever a router lets out", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted" });
    const [a1, peer] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    await world.namespaceOf("a").nft("delete table ip nat");
    a1.send(0, PEER, "private");
    await world.setNat("a", "port-restricted");
    a1.send(0, PEER, "translated");
    expect(await hears(world, peer, "translated")).toBe(true);
    expect(peer.heard.map(({ text }) => text)).toEqual(["translated"]);
    expect(await world.crossed()).toEqual({ passed: 1, lost: 0, leaked: 1 });
  });

  test("ends a datagram where its time to live does, and counts what passed", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted", b: "full-cone", carrier: "full-cone" });
    const [a1, peer] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    for (const ttl of [1, 2, 3, 4]) a1.send(0, PEER, `ttl ${ttl}`, ttl);
    a1.send(0, PEER, "default");
    expect(await hears(world, peer, "default")).toBe(true);
    expect(peer.heard.map(({ text }) => text)).toEqual(["ttl 4", "default"]);
    expect(await world.translated("a")).toEqual({ outward: 4, inward: 0 });
    expect(await world.translated("carrier")).toEqual({ outward: 3, inward: 0 });
    expect(await world.crossed()).toEqual({ passed: 2, lost: 0, leaked: 0 });
  });

  test("changes a NAT at run time, which forgets its flows", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted" });
    const [a1] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    expect(await mapping(world, a1)).toEqual({ address: ADDRESSES.natA, port: PORT });
    expect(await world.flows("a")).toBe(1);
    await world.setNat("a", "symmetric-sequential");
    expect(await world.flows("a")).toBe(0);
    expect((await mapping(world, a1)).port).not.toBe(PORT);
    expect(await world.flows("a")).toBe(1);
  });

  test("loses what it is told to, and counts it", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted" });
    const [a1, peer] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    await world.setLoss(50);
    for (let i = 0; i < 400; i++) a1.send(0, PEER, `${i}`);
    let counted = await world.crossed();
    // A burst leaves its socket at a pace.
    while (counted.passed + counted.lost < 400) counted = await world.crossed();
    expect(await world.until(() => peer.heard.length >= counted.passed, LIMIT_MS)).toBe(true);
    expect(peer.heard.length).toBe(counted.passed);
    // 200 expected, standard deviation 10
    expect(counted.lost).toBeWithin(140, 260);
  });

  test("answers every datagram to a closed port with an ICMP error, at any speed", async () => {
    await using world = await openNatWorld(lab, { a: "full-cone" });
    const [a1, peer] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    const closed = { ...PEER, port: PORT + 1 };
    for (let i = 0; i < 2_000; i++) a1.send(0, i % 2 === 0 ? closed : PEER, `${i}`);
    expect(await hears(world, peer, "1999")).toBe(true);
    expect(peer.heard.length).toBe(1_000);
    expect(kernelCounter(world, "peer", "Icmp", "OutDestUnreachs")).toBe(1_000);
    expect(await world.until(() => kernelCounter(world, "a1", "Icmp", "InDestUnreachs") === 1_000, LIMIT_MS)).toBe(
      true,
    );
  });

  test("forgets a mapping after its lifetime in silence, and keeps it while either side talks", async () => {
    await using world = await openNatWorld(lab, { a: "full-cone-random-port" });
    await world.setNat("a", { ...NATS["full-cone-random-port"], lifetimeSeconds: 1 });
    const [a1, a2, peer] = await Promise.all([run(world, "a1"), run(world, "a2"), run(world, "peer")]);
    const silent = await mapping(world, a1);
    const spokenTo = await mapping(world, a2);
    const talking = setInterval(() => peer.send(0, spokenTo, "still there?"), 100);
    while ((await world.flows("a")) > 1) await world.until(() => false, 50);
    clearInterval(talking);
    const stranger = await run(world, "stun");
    for (const to of [silent, spokenTo]) stranger.send(0, to, "from a stranger");
    expect(await hears(world, a2, "from a stranger")).toBe(true);
    expect(a1.hears(0, "from a stranger")).toBe(false);
    expect(await mapping(world, a1)).not.toEqual(silent);
  });

  test("turns a datagram back to the very host that it came from, at home and at a carrier", async () => {
    for (const map of [{ a: "full-cone-hairpin" }, { a: "full-cone", carrier: "full-cone-hairpin" }] as const) {
      await using world = await openNatWorld(lab, map);
      const [one, other] = [await startRaw(world, "a1", [{}]), await startRaw(world, "a1", [{}])];
      await run(world, "peer");
      await mapping(world, one);
      one.send(0, await mapping(world, other), "from next door");
      expect(await hears(world, other, "from next door")).toBe(true);
    }
  });

  test("may have another public range", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted" }, { wanPrefix: "11.51.100" });
    const [a1] = await Promise.all([run(world, "a1"), run(world, "peer")]);
    expect(await mapping(world, a1)).toEqual({ address: "11.51.100.2", port: PORT });
    expect(world.addresses).toEqual({
      ...ADDRESSES,
      natA: "11.51.100.2",
      natB: "11.51.100.6",
      carrier: "11.51.100.10",
    });
  });
});

describeLab("two internets of NATs", () => {
  test("stand side by side, in one lab and in two, and neither hears of the other", async () => {
    const labs = await Promise.all([Lab.open(), Lab.open()]);
    const [first, second] = labs as [Lab, Lab];
    const worlds = await Promise.all([first, first, second].map((lab) => openNatWorld(lab, { a: "port-restricted" })));
    const ends = await Promise.all(
      worlds.map(async (world) => ({ world, a1: await run(world, "a1"), peer: await run(world, "peer") })),
    );
    for (const [index, { a1 }] of ends.entries()) a1.send(0, PEER, `world ${index}`);
    for (const [index, { world, peer }] of ends.entries())
      expect(await hears(world, peer, `world ${index}`)).toBe(true);
    expect(ends.map(({ peer }) => peer.heard.map(({ text }) => text))).toEqual([["world 0"], ["world 1"], ["world 2"]]);
    await first[Symbol.asyncDispose]();
    const { world, a1, peer } = ends[2] as (typeof ends)[number];
    a1.send(0, PEER, "alone");
    expect(await hears(world, peer, "alone")).toBe(true);
    for (const other of worlds) await other[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
  });

  test("are gone when their process is interrupted", async () => {
    const module = (name: string) => JSON.stringify(`${import.meta.dir}/${name}`);
    const script = `
      const { Lab } = await import(${module("lab.ts")});
      const { openNatWorld } = await import(${module("nat-world.ts")});
      const { startCoturn } = await import(${module("coturn.ts")});
      const { startRaw } = await import(${module("../contract/raw-machine.ts")});
      const lab = await Lab.open();
      const world = await openNatWorld(lab, { a: "full-cone", b: "symmetric", carrier: "symmetric" });
      await startRaw(world, "a1", [{}]);
      await startCoturn(lab, world.namespaceOf("stun"), ["203.0.113.10", "203.0.113.11"]);
      console.log("ready");`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const own = () => readdirSync("/run/netns").filter((name) => name.startsWith(`utlab-${child.pid}-`)).length;
    for await (const chunk of child.stdout) if (new TextDecoder().decode(chunk).includes("ready")) break;
    expect(own()).toBe(9);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(own()).toBe(0);
    expect(readdirSync("/proc").filter((pid) => commandOf(pid).includes(`utlab-${child.pid}-`))).toEqual([]);
  });
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // not a process, or one that has just ended
  }
}
