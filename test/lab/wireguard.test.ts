import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { LaneCutter } from "./lane-cutter.ts";
import type { Namespace } from "./namespace.ts";
import { PROBE_INTERVAL_MS, type Probes, WireGuardProbes } from "./probes.ts";
import { utBinary } from "./ut-binary.ts";
import { UT_SERVER_PORT, UtTunnel } from "./ut-tunnel.ts";
import { DEFAULT_WAN, type WanLink } from "./wan-link.ts";
import { openWireGuardPair, type WireGuardPair } from "./wireguard.ts";

/*
 *   client namespace                                                           server namespace
 *
 *   10.77.0.1 wireguard-go                                                     wireguard-go 10.77.0.2
 *        |                                                                           |
 *   127.0.0.1:15000 ut client ══ 5 mTLS lanes ══ wan 10.99.0.1 ───── 10.99.0.2 ═══ ut server :5443
 *                                                     5 ms each way, 200 Mbit/s
 *
 * The real binary, real WireGuard, real sockets. Gaps are measured on probes: a datagram every 10 ms in each direction
 * through the WireGuard tunnel, beside a load of 10 Mbit/s of TCP each way. Nobody touches WireGuard in between.
 */
const LINK = { ...DEFAULT_WAN, delayMs: 5, rateMbit: 200, queuePackets: 1_000 };
const LANES = 5;
/** `tcp.user_timeout_ms` as the product has it by default. */
const USER_TIMEOUT_MS = 10_000;
const MIB = 1 << 20;

let lab: Lab;
let client: Namespace;
let server: Namespace;
let wan: WanLink;
let tunnel: UtTunnel;
let pair: WireGuardPair;
let cutter: LaneCutter;

describeLab("WireGuard through ut", () => {
  beforeAll(async () => {
    const binary = await utBinary();
    lab = await Lab.open();
    client = await lab.namespace("client");
    server = await lab.namespace("server");
    wan = await lab.wan(client, server, LINK);
    tunnel = await UtTunnel.open(lab, { binary, client, server, serverAddress: wan.addresses.b });
    pair = await openWireGuardPair(lab, {
      client,
      server,
      clientEndpoint: tunnel.entry,
      serverPort: tunnel.exit.port,
    });
    cutter = new LaneCutter(client, server, UT_SERVER_PORT);
  }, 180_000);

  afterAll(async () => {
    // Not there when beforeAll has failed: then that is the error to show.
    await (lab as Lab | undefined)?.[Symbol.asyncDispose]();
  }, 20_000);

  test("the first packet brings the handshake through, and echo works", async () => {
    const answer = await client.run(["ping", "-c", "10", "-i", "0.05", "-W", "2", pair.server]);
    expect(answer).toContain("10 packets transmitted, 10 received, 0% packet loss");
    await untilLanes((lanes) => lanes.length === LANES);
  }, 20_000);

  test("50 MB over HTTP arrive with their checksum, both ways", async () => {
    const script = join(import.meta.dir, "http-blob.ts");
    const size = String(50 * MIB);
    const http = server.start("http", [process.execPath, script, "serve", pair.server, size, "download"]);
    const [, url = "", checksum = ""] = (await http.line(/^serving/)).split(" ");
    const got = await client.run([process.execPath, script, "get", url], { timeoutMs: 60_000 });
    expect(got.trim()).toBe(`${size} ${checksum}`);
    const put = await client.run([process.execPath, script, "put", url, size, "download"], { timeoutMs: 60_000 });
    expect(put.trim()).toBe(checksum);
    await http.stop();
  }, 130_000);

  test.each(["up", "down"] as const)(
    "iperf3 %s passes more than half of the link",
    async (direction) => {
      await using iperf = server.start("iperf3", ["iperf3", "-s", "-1", "--forceflush", "-B", pair.server]);
      await iperf.line(/listening/);
      const flags = direction === "down" ? ["-R"] : [];
      const text = await client.run(["iperf3", "-J", "-c", pair.server, "-t", "3", "-P", "4", ...flags]);
      const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
      expect(end.sum_received.bits_per_second / 1e6).toBeGreaterThan(LINK.rateMbit / 2);
    },
    30_000,
  );

  test("each lane in turn reset under load: no gap over 1 s, and the lanes come back", async () => {
    const { probes, broken } = await underLoad(async () => {
      const first = await untilLanes((lanes) => lanes.length === LANES);
      for (const [index, lane] of first.entries()) {
        await cutter.reset(lane, index % 2 === 0 ? "client" : "server");
        await untilLanes((lanes) => lanes.length === LANES && !lanes.includes(lane));
      }
      return { broken: first.length };
    });
    expect(broken).toBe(LANES);
    for (const direction of probes.directions()) {
      expect(direction.longestGapMs).toBeLessThanOrEqual(1_000);
      expect(direction.slowestMs).toBeLessThanOrEqual(1_000);
    }
  }, 40_000);

  test("a blackholed lane costs only what was on it, and only until TCP_USER_TIMEOUT", async () => {
    const { probes, cutNs } = await underLoad(async (clock) => {
      const [victim = 0] = await untilLanes((lanes) => lanes.length === LANES);
      const cutNs = await clock();
      await cutter.blackhole(victim);
      await untilLanes((lanes) => lanes.length === LANES && !lanes.includes(victim), USER_TIMEOUT_MS + 5_000);
      return { cutNs };
    });
    await cutter.healAll();
    for (const direction of probes.directions()) {
      expect(direction.longestGapMs).toBeLessThanOrEqual(1_000);
      expect(direction.slowestMs).toBeLessThanOrEqual(USER_TIMEOUT_MS + 1_000);
      // What was on it: at most its turns, one probe of five, and fewer once its window is full. The rest is on time.
      const hit = direction.lateOrLost(1_000);
      expect(hit.length).toBeLessThanOrEqual(((USER_TIMEOUT_MS + 1_000) / PROBE_INTERVAL_MS) * (1 / LANES));
      for (const { sentNs } of hit) expect((sentNs - cutNs) / 1e6).toBeWithin(-1_000, USER_TIMEOUT_MS + 1_000);
    }
  }, 40_000);

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "a server restarted after %s is back within its downtime + 6 s",
    async (signal) => {
      const { probes, downMs } = await underLoad(async () => {
        const start = performance.now();
        await tunnel.restartServer(signal, 1_000);
        const downMs = performance.now() - start;
        await untilLanes((lanes) => lanes.length >= 1, 7_000);
        return { downMs };
      });
      for (const direction of probes.directions()) expect(direction.longestGapMs).toBeLessThanOrEqual(downMs + 6_000);
    },
    40_000,
  );
});

/**
 * Probes and a TCP load in both directions while `breakIt` works, and a second of both before and after. The load's
 * connections have to live through it, too.
 */
async function underLoad<Result extends object>(
  breakIt: (clock: () => Promise<number>) => Promise<Result>,
): Promise<Result & { probes: Probes }> {
  await using load = server.start("iperf3", ["iperf3", "-s", "-1", "--forceflush", "-B", pair.server]);
  await load.line(/listening/);
  const traffic = client.start("iperf3 load", [
    ...["iperf3", "-c", pair.server, "--bidir", "-b", "10M", "-t", "120", "-i", "1", "--forceflush"],
  ]);
  await traffic.line(/sec/);
  await using running = await WireGuardProbes.start(lab, client, server, pair);
  await Bun.sleep(SETTLE_MS);
  const result = await breakIt(() => running.clock());
  await Bun.sleep(SETTLE_MS);
  const probes = await running.finish();
  expect(traffic.running).toBe(true);
  // The load still moves data: its next line of statistics is not a zero.
  expect(await traffic.line(/RX-C.*sec/)).not.toMatch(/ 0\.00 [KMG]?bits/);
  await traffic.stop("SIGINT");
  console.log(String(probes));
  return { ...result, probes };
}

/** Long enough for traffic to be steady before it is disturbed, and to show whether it is steady again. */
const SETTLE_MS = 1_000;

async function untilLanes(accept: (lanes: number[]) => boolean, timeoutMs = 5_000): Promise<number[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const lanes = await cutter.lanes();
    if (accept(lanes)) return lanes;
    if (performance.now() > deadline) throw new Error(`Lanes are ${lanes} after ${timeoutMs} ms\n${tunnel.logs}`);
    await Bun.sleep(20);
  }
}
