import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { Peers } from "./peers.ts";
import { type Probes, WireGuardProbes } from "./probes.ts";
import { utBinary } from "./ut-binary.ts";
import { openWireGuardPair, type WireGuardPair } from "./wireguard.ts";

/*
 *   a1  10.77.0.1 wireguard-go ── 127.0.0.1:15001 ut relay          ut agent ── 127.0.0.1:15002 wireguard-go 10.77.0.2  b1
 *                                                    │                 │
 *                                             port-restricted   port-restricted
 *                                                    └──── internet ───┘
 *                                                             │
 *                                                         ut server
 *
 * Home to home, with no port open anywhere: real binaries, real WireGuard, real NATs. Gaps are measured on probes, a
 * datagram every 10 ms each way through the WireGuard tunnel. Nobody touches WireGuard in between.
 */
const MIB = 1 << 20;
/** As docs/p2p.md recommends: whole on a path of 1,500 B, with what a pipe adds. */
const MTU = 1_380;
const CUT_GAP_MS = 3_000;
const RESTART_GAP_MS = 6_000;
/** A lost direct path is tried again after 10 s at the earliest. */
const DIRECT_AGAIN_MS = 30_000;
const LIMIT_MS = 60_000;

let lab: Lab;
let world: NatWorld;
let peers: Peers;
let pair: WireGuardPair;

describeLab("WireGuard through ut relay, home to home", () => {
  beforeAll(async () => {
    const binary = await utBinary();
    lab = await Lab.open();
    world = await openNatWorld(lab, { a: "port-restricted", b: "port-restricted" });
    peers = await Peers.open(lab, world, { binary });
    const [client, server] = [peers.entry.host, peers.exit.host];
    const clientEndpoint = { host: "127.0.0.1", port: peers.entry.port };
    pair = await openWireGuardPair(lab, { client, server, clientEndpoint, serverPort: peers.exit.port, mtu: MTU });
  }, LIMIT_MS);

  afterAll(async () => await (lab as Lab | undefined)?.[Symbol.asyncDispose](), LIMIT_MS);

  test(
    "echo works from the first packet, and goes direct by itself",
    async () => {
      const answer = await peers.entry.host.run(["ping", "-c", "20", "-i", "0.05", "-W", "2", pair.server]);
      expect(answer).toContain("20 packets transmitted, 20 received, 0% packet loss");
      expect(await peers.relay.logged("pipe_direct")).toMatchObject({ winner: "ice" });
      await peers.agent.logged("pipe_direct");
    },
    LIMIT_MS,
  );

  test(
    "20 MB over HTTP arrive with their checksum, both ways",
    async () => {
      const script = join(import.meta.dir, "http-blob.ts");
      const size = String(20 * MIB);
      await using http = peers.exit.host.start("http", [process.execPath, script, "serve", pair.server, size, "blob"]);
      const [, url = "", checksum = ""] = (await http.line(/^serving/)).split(" ");
      const run = (...words: string[]) =>
        peers.entry.host.run([process.execPath, script, ...words], { timeoutMs: LIMIT_MS });
      expect((await run("get", url)).trim()).toBe(`${size} ${checksum}`);
      expect((await run("put", url, size, "blob")).trim()).toBe(checksum);
    },
    2 * LIMIT_MS,
  );

  test.each(["up", "down"] as const)(
    "iperf3 %s",
    async (direction) => {
      await using iperf = peers.exit.host.start("iperf3", ["iperf3", "-s", "-1", "--forceflush", "-B", pair.server]);
      await iperf.line(/listening/);
      const flags = direction === "down" ? ["-R"] : [];
      const text = await peers.entry.host.run(["iperf3", "-J", "-c", pair.server, "-t", "3", ...flags]);
      const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
      const mbit = end.sum_received.bits_per_second / 1e6;
      console.log(`iperf3 ${direction}: ${mbit.toFixed(0)} Mbit/s`);
      expect(mbit).toBeGreaterThan(10);
      expect(await route()).toBe("direct");
    },
    LIMIT_MS,
  );

  test(
    "the direct path is cut at a NAT: over the server within 3 s",
    async () => {
      const { probes } = await underProbes(async () => {
        await cut();
        await untilRoute("relay");
      });
      for (const { longestGapMs } of probes.directions()) expect(longestGapMs).toBeLessThanOrEqual(CUT_GAP_MS);
    },
    LIMIT_MS,
  );

  test(
    "the server is killed while everything goes through it: back within its downtime + 6 s",
    () => serverKilled((downMs) => downMs + RESTART_GAP_MS),
    LIMIT_MS,
  );

  test(
    "the path is restored: direct again, and the switch loses nothing",
    async () => {
      const { probes } = await underProbes(async () => {
        await restore();
        await untilRoute("direct");
      });
      expect(probes.directions().map(({ lost }) => lost)).toEqual([0, 0]);
    },
    LIMIT_MS,
  );

  test(
    "the server is killed while the path is direct: nobody notices",
    () => serverKilled((downMs) => downMs),
    LIMIT_MS,
  );

  test(
    "the NAT forgets everything and takes other ports: over the server within 3 s, and direct again",
    async () => {
      const { probes } = await underProbes(async () => {
        await world.setNat("a", "port-restricted-random-port");
        await untilRoute("relay");
        await untilRoute("direct");
      });
      for (const { longestGapMs } of probes.directions()) expect(longestGapMs).toBeLessThanOrEqual(CUT_GAP_MS);
    },
    LIMIT_MS,
  );
});

/** Long enough for traffic to be steady before it is disturbed, and to show whether it is steady again. */
const SETTLE_MS = 1_000;

/** What the probes saw while `disturb` worked, and what that gave back. */
async function underProbes<Result>(disturb: () => Promise<Result>): Promise<{ probes: Probes; result: Result }> {
  const { entry, exit } = peers;
  await using running = await WireGuardProbes.start(lab, entry.host, exit.host, pair);
  await Bun.sleep(SETTLE_MS);
  const result = await disturb();
  await Bun.sleep(SETTLE_MS);
  const probes = await running.finish();
  console.log(String(probes));
  return { probes, result };
}

async function serverKilled(longestGapMs: (downMs: number) => number): Promise<void> {
  const { probes, result: downMs } = await underProbes(() => peers.server.restart("SIGKILL", 1_000));
  for (const direction of probes.directions()) expect(direction.longestGapMs).toBeLessThanOrEqual(longestGapMs(downMs));
}

/** UDP between the two homes gets lost at the router of one of them; what goes to the server does not. */
async function cut(): Promise<void> {
  const { natB } = world.addresses;
  await world.namespaceOf("a").nft(`
    table ip cut {
      chain forward {
        type filter hook forward priority -5;
        meta l4proto udp ip daddr ${natB} drop
        meta l4proto udp ip saddr ${natB} drop
      }
    }`);
}

async function restore(): Promise<void> {
  await world.namespaceOf("a").nft("delete table ip cut");
}

async function route(): Promise<string | undefined> {
  return (await peers.relay.status()).traversal.pipes[0]?.route;
}

async function untilRoute(wanted: "direct" | "relay"): Promise<void> {
  const deadline = performance.now() + DIRECT_AGAIN_MS;
  while ((await route()) !== wanted) {
    if (performance.now() > deadline)
      throw new Error(`not on the ${wanted} path:\n${peers.relay.tail}\n${peers.agent.tail}`);
    await Bun.sleep(50);
  }
}
