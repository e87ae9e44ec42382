import { afterAll, describe, expect, test } from "bun:test";
import type { Direction } from "../../src/core/tunnel/counters.ts";
import { numberOf } from "../bytes.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { bareServer } from "./support/bare-server.ts";
import { identity } from "./support/identities.ts";
import { balance, expectBalanced } from "./support/ledger.ts";
import { lanesUp, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { dataPdu, rawLane } from "./support/raw-lane.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** What goes in comes out, byte for byte; what cannot is the right one, counted. */

const home = await identity({ cn: "home" });
const MAX_DATAGRAM = 65_507;

afterAll(() => expectNoSecretsInLogs(home));

/** Everything around the borders of the path: MTU, TLS record, batch, PDU, and the ends of the range. */
function sizesOfInterest(random: Random): number[] {
  const around = (middle: number, reach: number) =>
    Array.from({ length: 2 * reach + 1 }, (_, i) => middle - reach + i).filter((n) => n >= 0 && n <= MAX_DATAGRAM);
  return [
    ...around(32, 32),
    ...around(1_280, 4),
    ...around(1_420, 8),
    ...around(1_472, 8),
    ...around(1_500, 8),
    ...around(4_096, 20),
    ...around(8_192, 20),
    ...around(9_000, 4),
    ...around(16_384, 40),
    ...around(32_768, 20),
    ...around(65_536 - 13, 40),
    ...Array.from({ length: 150 }, () => random.below(MAX_DATAGRAM + 1)),
  ];
}

describe("0 to 65,507 bytes arrive unchanged", () => {
  for (const reorder_ms of [0, 20]) {
    test(`both ways, ${reorder_ms === 0 ? "in order of arrival" : "put back in order"}`, async () => {
      const [seed = 0] = fuzzSeeds("sizes", 1);
      const random = new Random(seed);
      using wg = await udpEnd({ echo: true });
      await using server = await testServer(wg.port, { tcp: { reorder_ms } });
      await using client = await testClient(server.port, home, { tcp: { reorder_ms } });
      using end = await udpEnd();
      const sent = sizesOfInterest(random).map((size) => random.bytes(size));
      // Few at a time: what is asked here is what becomes of one datagram, not how many fit.
      for (let i = 0; i < sent.length; i += 4) {
        const group = sent.slice(i, i + 4);
        end.sendTo(client.port, ...group);
        await end.count(i + group.length);
      }
      expect(multiset(wg.received)).toEqual(multiset(sent));
      expect(multiset(end.received)).toEqual(multiset(sent));
      expect(balance("up", "home", client, server)).toEqual({
        in: sent.length,
        out: sent.length,
        dropped: {},
        queued: 0,
      });
      expect(balance("down", "home", client, server)).toEqual({
        in: sent.length,
        out: sent.length,
        dropped: {},
        queued: 0,
      });
    });
  }

  test("what a peer sends that no UDP datagram can hold is dropped, counted and logged", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    using lane = await rawLane({ port: server.port, identity: home });
    lane.hello();
    lane.send(dataPdu(new Uint8Array(MAX_DATAGRAM + 1), 0), dataPdu(new Uint8Array(65_531), 1), dataPdu(marked(2), 2));
    await until("the one that fits", () => lane.datagrams.length === 1);
    expect(lane.datagrams).toEqual([marked(2)]);
    const { up } = server.counters("home");
    expect({ in: up.inPackets, out: up.outPackets, too_large: up.drops.too_large }).toEqual({
      in: 3,
      out: 1,
      too_large: 2,
    });
    expect(server.logbook.find("udp_drop")).toMatchObject([{ level: "warn", client_cn: "home", reason: "too_large" }]);
  });

  test("also from the server's side", async () => {
    await using server = await bareServer();
    await using client = await testClient(server.port, home, { tcp: { lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(0));
    await until("the lane", () => server.received.length === 1);
    server.send(new Uint8Array(65_535));
    server.send(marked(1));
    await end.count(1);
    expect(end.received).toEqual([marked(1)]);
    expect(client.counters("home").down.drops.too_large).toBe(1);
    expect(client.logbook.find("udp_drop")).toMatchObject([{ level: "warn", reason: "too_large", packets: 1 }]);
  });
});

describe("a queue over its limits drops exactly the oldest", () => {
  for (const [what, queue, size, keeps] of [
    ["packets", { max_packets: 100, max_bytes: 8 << 20 }, 1_000, 100],
    ["bytes", { max_packets: 4_096, max_bytes: 64 * 1_024 }, 1_000, 65],
  ] as const) {
    test(`by ${what}, at the client`, async () => {
      await using server = await bareServer();
      await using client = await testClient(server.port, home, {
        tcp: { lanes: 1, sndbuf: 64 * 1_024 },
        queue: { ...queue, target_ms: 0 },
      });
      using end = await udpEnd();
      end.sendTo(client.port, marked(0, size));
      await until("the lane", () => server.received.length === 1);
      server.reading = false;
      const { up } = client.counters("home");
      let sent = 1;
      const most = await stuff(client, "up", keeps, () => end.sendTo(client.port, marked(sent++, size)));
      await until("all of them to be in", () => up.inPackets === sent);
      expect(most).toEqual({ packets: keeps, bytes: keeps * size });
      const dropped = up.drops.oldest;
      server.reading = true;
      await until("the rest", () => server.received.length === sent - dropped);
      expectOldestGone(server.received.map(numberOf), keeps, sent);
      expect(client.logbook.find("queue_drop_oldest")[0]).toMatchObject({ level: "warn", client_cn: "home" });
    });
  }

  test("by packets, at the server", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, {
      tcp: { sndbuf: 64 * 1_024 },
      queue: { max_packets: 100, target_ms: 0 },
    });
    using lane = await rawLane({ port: server.port, identity: home, paused: true });
    lane.hello();
    lane.send(dataPdu(marked(0)));
    await wg.count(1);
    const [udpPort = 0] = wg.fromPorts;
    const { down } = server.counters("home");
    let sent = 0;
    await stuff(server, "down", 100, () => wg.sendTo(udpPort, marked(sent++, 1_000)));
    await until("all of them to be in", () => down.inPackets === sent);
    const dropped = down.drops.oldest;
    lane.resume();
    await until("the rest", () => lane.datagrams.length === sent - dropped);
    expectOldestGone(lane.datagrams.map(numberOf), 100, sent);
  });
});

describe("idle close", () => {
  test("loses nothing, whatever moment the next datagram picks", async () => {
    const [seed = 0] = fuzzSeeds("idle close", 1);
    const random = new Random(seed);
    using _time = drivenTime();
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home, { tcp: { lanes: 3, idle_seconds: 0.02 } });
    using end = await udpEnd();
    for (let i = 0; i < 150; i++) {
      end.sendTo(client.port, marked(i));
      await end.count(i + 1);
      // Around the moment at which the lanes say goodbye, and in the middle of it.
      for (let ms = random.between(17, 24); ms > 0; ms--) await turn();
    }
    expect(client.logbook.find("idle_close").length).toBeGreaterThan(20);
    expect(end.received.map(numberOf)).toEqual(Array.from({ length: 150 }, (_, i) => i));
    await expectBalanced("home", client, server);
    expect(balance("up", "home", client, server)).toEqual({ in: 150, out: 150, dropped: {}, queued: 0 });
    expect(client.logbook.find("lane_dial_fail")).toEqual([]);
  });

  test("what WireGuard sends while nobody is connected waits for the next dial", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home, { tcp: { lanes: 2, idle_seconds: 0.05 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(0));
    await end.count(1);
    await lanesUp(server, "home", 0);
    wg.sendTo(wg.fromPorts[0] ?? 0, marked(1), marked(2));
    await until("both to wait", () => server.session("home")?.queue.packets === 2);
    end.sendTo(client.port, marked(3));
    await end.count(4);
    expect(end.received.map(numberOf).toSorted()).toEqual([0, 1, 2, 3]);
    await expectBalanced("home", client, server);
  });
});

/**
 * Offer datagrams until the sockets have taken no more of them for a while and the queue has dropped three times its
 * fill. Returns the most that was seen in the queue.
 */
async function stuff(node: TestNode, direction: Direction, keeps: number, offerOne: () => void): Promise<QueueFill> {
  const flow = node.counters("home")[direction];
  const most = { packets: 0, bytes: 0 };
  let taken = 0;
  let turnsSince = 0;
  await until("a queue that overflows", () => {
    for (let i = 0; i < 10; i++) offerOne();
    turnsSince = flow.outPackets === taken ? turnsSince + 1 : 0;
    taken = flow.outPackets;
    const { packets = 0, bytes = 0 } = node.session("home")?.queue ?? {};
    most.packets = Math.max(most.packets, packets);
    most.bytes = Math.max(most.bytes, bytes);
    return turnsSince > 50 && flow.drops.oldest >= 3 * keeps;
  });
  return most;
}

interface QueueFill {
  readonly packets: number;
  readonly bytes: number;
}

/** Nobody overtook anybody, and the last that were sent are all there: whoever is missing was older than all that waited. */
function expectOldestGone(numbers: readonly number[], keeps: number, sent: number): void {
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  expect(numbers.slice(-keeps)).toEqual(Array.from({ length: keeps }, (_, i) => sent - keeps + i));
}

/** As texts, sorted: order is another test's matter. */
function multiset(datagrams: readonly Uint8Array[]): string[] {
  return datagrams.map((datagram) => Bun.hash(datagram).toString(36) + datagram.length).toSorted();
}
