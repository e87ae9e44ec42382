import { afterAll, describe, expect, test } from "bun:test";
import { GIVE_UP_MS } from "../../src/core/tunnel/loss-ledger.ts";
import { numberOf } from "../bytes.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { identity } from "./support/identities.ts";
import { balance, expectBalanced } from "./support/ledger.ts";
import { lanesUp, stop, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";
import { type Wire, type WireConnection, wire } from "./support/wire.ts";

/** Lanes that break, nodes that stop: in = out + dropped + queued, for each direction, over both nodes together. */

const home = await identity({ cn: "home" });

afterAll(() => expectNoSecretsInLogs(home));

/** Traffic both ways, as fast as `perTurn` says, until it is told to stop. */
interface Load {
  readonly up: number;
  readonly down: number;
  stop(): Promise<void>;
}

/** `session` tells the server's UDP port of the session, when there is one. */
function load(end: UdpEnd, wg: UdpEnd, client: TestNode, session: () => number, perTurn: number, size: number): Load {
  let up = 1;
  let down = 1;
  let stopping = false;
  const running = (async () => {
    while (!stopping) {
      end.sendTo(client.port, ...Array.from({ length: perTurn }, () => marked(up++, size)));
      const port = session();
      if (port > 0) wg.sendTo(port, ...Array.from({ length: perTurn }, () => marked(down++, size)));
      await turn();
    }
  })();
  return {
    get up() {
      return up;
    },
    get down() {
      return down;
    },
    async stop() {
      stopping = true;
      await running;
    },
  };
}

/** The server's UDP port of the one session, 0 while there is none. */
function sessionPort(server: TestNode): number {
  return Number(server.session("home")?.udp.split(":").at(-1) ?? 0);
}

/** A number below which something is missing shows only when each lane has brought a later one. */
async function flush(end: UdpEnd, wg: UdpEnd, client: TestNode, server: TestNode): Promise<void> {
  const lanes = client.session("home")?.lanes.length ?? 0;
  for (let i = 0; i < 4 * lanes; i++) {
    end.sendTo(client.port, marked(0xffff_0000 + i));
    wg.sendTo(sessionPort(server), marked(0xffff_0000 + i));
    await turn();
  }
}

describe("lanes cut under load", () => {
  for (const [what, tcp] of [
    ["in order of arrival", { reorder_ms: 0 }],
    ["put back in order", { reorder_ms: 20 }],
    ["one flow to a lane", { pick: "hash" as const }],
    ["over wss", { transport: "wss" as const }],
  ] as const) {
    test(`everything is told, ${what}`, async () => {
      const [seed = 0] = fuzzSeeds(`lane cuts ${what}`, 1);
      const random = new Random(seed);
      using time = drivenTime();
      using wg = await udpEnd();
      using end = await udpEnd();
      await using server = await testServer(wg.port, { tcp });
      await using network = await wire(server.port);
      await using client = await testClient(network.port, home, { tcp });
      end.sendTo(client.port, marked(0));
      await wg.count(1);
      await lanesUp(client, "home", 5);
      const traffic = load(end, wg, client, () => sessionPort(server), 12, 1_200);
      const plain = new Map<string, number>();
      let cuts = 0;
      while (cuts < 25) {
        for (let turns = random.between(5, 60); turns > 0; turns--) await turn();
        const numbered = numberedConnections(network, client, server, plain);
        if (numbered.length === 0) continue;
        random.pick(numbered).cut();
        cuts++;
      }
      await traffic.stop();
      await until("all lanes again", () => allGreeted(client) && client.session("home")?.lanes.length === 5, 90_000);
      await flush(end, wg, client, server);
      // A lane that has nothing to bring keeps a gap open for as long as it might, which is half a minute.
      for (let i = 0; i < 2; i++) {
        time.advance(GIVE_UP_MS);
        await turn();
      }
      await expectBalanced("home", client, server);
      const up = balance("up", "home", client, server);
      const down = balance("down", "home", client, server);
      // What the sums say is what the ends saw.
      await expectReceived(wg, up.out);
      await expectReceived(end, down.out);
      expect(up.in).toBeGreaterThan(5_000);
      for (const { dropped } of [up, down])
        expect(
          Object.keys(dropped).filter((reason) => !["lane_lost", "oldest", "codel", "stale"].includes(reason)),
        ).toEqual([]);
      // Nobody twice.
      expect(new Set(wg.received.map(numberOf)).size).toBe(wg.received.length);
      expect(new Set(end.received.map(numberOf)).size).toBe(end.received.length);
      expect(client.counters("home").laneReconnects).toBeGreaterThanOrEqual(cuts);
    }, 30_000);
  }

  test.each(["tcp", "wss"] as const)(
    "what the socket of a cut lane had not taken arrives over another: %s",
    async (transport) => {
      using _time = drivenTime();
      using wg = await udpEnd();
      using end = await udpEnd();
      await using server = await testServer(wg.port, { tcp: { transport } });
      await using network = await wire(server.port);
      await using client = await testClient(network.port, home, {
        tcp: { transport, lanes: 2, sndbuf: 16_384 },
        queue: { target_ms: 0 },
      });
      end.sendTo(client.port, marked(0));
      await wg.count(1);
      await lanesUp(client, "home", 2);
      await until("greetings", () => allGreeted(client));
      // Nothing moves; the sockets fill up, the outboxes, the queue.
      for (const connection of network.connections) connection.hold();
      const held = [...network.connections];
      let sent = 1;
      await until("both lanes to be blocked", () => {
        for (let i = 0; i < 20; i++) end.sendTo(client.port, marked(sent++, 1_200));
        return (client.session("home")?.queue.packets ?? 0) > 1_000;
      });
      held[0]?.release();
      held[1]?.cut();
      await until("the queue to empty", () => client.session("home")?.queue.packets === 0);
      await lanesUp(client, "home", 2);
      await until("greetings", () => allGreeted(client));
      await flush(end, wg, client, server);
      await expectBalanced("home", client, server);
      const { dropped } = balance("up", "home", client, server);
      expect(Object.keys(dropped).filter((reason) => reason !== "lane_lost")).toEqual([]);
    },
  );
});

describe("a drain under load", () => {
  for (const lanes of [1, 5]) {
    test(`of the client loses nothing that it took in (${lanes} lanes)`, async () => {
      using wg = await udpEnd();
      using end = await udpEnd();
      await using server = await testServer(wg.port);
      await using client = await testClient(server.port, home, { tcp: { lanes } });
      const traffic = load(end, wg, client, () => sessionPort(server), 12, 1_200);
      await wg.count(2_000);
      await stop(client);
      await traffic.stop();
      await stop(server);
      const up = balance("up", "home", client, server);
      expect(up).toEqual({ in: up.in, out: up.in, dropped: {}, queued: 0 });
      expect(up.in).toBeGreaterThan(2_000);
      await expectReceived(wg, up.out);
      // The server goes on hearing from WireGuard when nobody is there any more; it says so.
      await expectBalanced("home", client, server);
      const down = balance("down", "home", client, server);
      expect(Object.keys(down.dropped).filter((reason) => reason !== "closed" && reason !== "oldest")).toEqual([]);
      await expectReceived(end, down.out);
    });

    test(`of the server loses nothing that it took in (${lanes} lanes)`, async () => {
      using wg = await udpEnd();
      using end = await udpEnd();
      await using server = await testServer(wg.port);
      await using client = await testClient(server.port, home, { tcp: { lanes } });
      const traffic = load(end, wg, client, () => sessionPort(server), 12, 1_200);
      await end.count(2_000);
      await stop(server);
      await traffic.stop();
      await stop(client);
      const down = balance("down", "home", client, server);
      expect(down).toEqual({ in: down.in, out: down.in, dropped: {}, queued: 0 });
      expect(down.in).toBeGreaterThan(2_000);
      await expectReceived(end, down.out);
      await expectBalanced("home", client, server);
      const up = balance("up", "home", client, server);
      expect(Object.keys(up.dropped).filter((reason) => reason !== "closed" && reason !== "oldest")).toEqual([]);
      await expectReceived(wg, up.out);
    });
  }

  test("of both at once", async () => {
    using wg = await udpEnd();
    using end = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    const traffic = load(end, wg, client, () => sessionPort(server), 12, 1_200);
    await end.count(2_000);
    await Promise.all([stop(server), stop(client)]);
    await traffic.stop();
    for (const direction of ["up", "down"] as const) {
      const flow = balance(direction, "home", client, server);
      expect(flow).toEqual({ in: flow.in, out: flow.in, dropped: {}, queued: 0 });
    }
  });

  test("is over at once when nothing waits", async () => {
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    end.sendTo(client.port, marked(1));
    await end.count(1);
    const startedAt = performance.now();
    await stop(client);
    await stop(server);
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(client.logbook.has("lane_close", { err: undefined })).toBe(true);
  });
});

describe("a server that is restarted", () => {
  test("in an orderly way costs nothing but what its queue is too small for", async () => {
    using wg = await udpEnd();
    using end = await udpEnd();
    const first = await testServer(wg.port);
    let second: TestNode | undefined;
    const { port } = first;
    await using client = await testClient(port, home, { tcp: { lanes: 3 } });
    const traffic = load(end, wg, client, () => sessionPort(second ?? first), 4, 600);
    await end.count(500);
    await stop(first);
    second = await testServer(wg.port, { tcp: { listen_addr: { host: "127.0.0.1", port } } });
    const before = end.received.length;
    await end.count(before + 500, 15_000);
    await traffic.stop();
    await stop(client);
    await stop(second);
    await expectBalanced("home", client, first, second);
    await expectReceived(wg, balance("up", "home", client, first, second).out);
    await expectReceived(end, balance("down", "home", client, first, second).out);
  }, 30_000);
});

/** So many came, and no more. */
async function expectReceived(end: UdpEnd, packets: number): Promise<void> {
  await end.count(packets);
  for (let i = 0; i < 10; i++) await turn();
  expect(end.received.length).toBe(packets);
}

/**
 * Connections on which nothing is under way without a number. What a client sends before its hello_ack has none, and
 * nobody can count what is lost of that; `plain` remembers, by server lane, how many those were at most.
 */
function numberedConnections(
  network: Wire,
  client: TestNode,
  server: TestNode,
  plain: Map<string, number>,
): WireConnection[] {
  const remotes = new Set<string>();
  for (const here of client.session("home")?.lanes ?? []) {
    const there = server.session("home")?.lanes.find((lane) => lane.id === here.id);
    if (there === undefined || here.bytesIn === 0) continue;
    if (!plain.has(there.remote)) plain.set(there.remote, here.packetsOut);
    if (there.packetsIn >= (plain.get(there.remote) ?? 0)) remotes.add(there.remote);
  }
  return network.connections.filter((connection) => remotes.has(`127.0.0.1:${connection.farPort}`));
}

/** Every lane of the client has its hello_ack. */
function allGreeted(client: TestNode): boolean {
  const lanes = client.session("home")?.lanes ?? [];
  return lanes.length > 0 && lanes.every((lane) => lane.bytesIn > 0);
}
