import { afterAll, describe, expect, test } from "bun:test";
import { numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { balance, expectBalanced } from "./support/ledger.ts";
import { lanesUp, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";
import { wire } from "./support/wire.ts";

/** The UDP sides of both roles: who moves, who must stay, who is not there. */

const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });

afterAll(() => expectNoSecretsInLogs(home, office));

function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

describe("addresses that change, and those that must not", () => {
  test("answers follow the local peer to its new port", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    using before = await udpEnd();
    using after = await udpEnd();
    before.sendTo(client.port, marked(1));
    await before.count(1);
    after.sendTo(client.port, marked(2));
    await after.count(1);
    wg.sendTo(wg.fromPorts[0] ?? 0, marked(3));
    await after.count(2);
    expect(before.received.map(numberOf)).toEqual([1]);
    expect(after.received.map(numberOf)).toEqual([2, 3]);
    // WireGuard's side sees one endpoint all the while.
    expect(new Set(wg.fromPorts).size).toBe(1);
    expect(client.logbook.find("local_peer")).toMatchObject([
      { level: "info", address: "127.0.0.1", port: before.port },
      { level: "info", address: "127.0.0.1", port: after.port, previous_port: before.port },
    ]);
  });

  test("two programs that fight for the port are told once, not with a line for each packet", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    using one = await udpEnd();
    using other = await udpEnd();
    for (let round = 1; round <= 20; round++) {
      one.sendTo(client.port, marked(round));
      await wg.count(2 * round - 1);
      other.sendTo(client.port, marked(round));
      await wg.count(2 * round);
    }
    expect(client.logbook.find("local_peer")).toMatchObject([
      { port: one.port },
      { port: other.port, previous_port: one.port },
    ]);
  });

  test("WireGuard's endpoint stays while lanes are lost and dialled again, within the linger", async () => {
    using time = drivenTime();
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    await using server = await testServer(wg.port, { tcp: { session_linger_seconds: 60 } });
    await using network = await wire(server.port);
    await using client = await testClient(network.port, home, { tcp: { lanes: 3 } });
    let sent = 0;
    const roundTrip = async () => {
      end.sendTo(client.port, marked(sent++));
      await end.count(sent, 90_000);
    };
    await roundTrip();
    for (let round = 0; round < 3; round++) {
      network.accepting = false;
      for (const connection of [...network.connections]) connection.cut();
      await lanesUp(server, "home", 0);
      time.advance(50_000);
      network.accepting = true;
      await roundTrip();
    }
    expect(new Set(wg.fromPorts).size).toBe(1);
    expect(server.logbook.find("session_open")).toHaveLength(1);
    network.accepting = false;
    for (const connection of [...network.connections]) connection.cut();
    await lanesUp(server, "home", 0);
    time.advance(60_000);
    await until("the session to end", () => server.logbook.has("session_close"));
    network.accepting = true;
    await roundTrip();
    expect(server.logbook.find("session_open")).toHaveLength(2);
    await expectBalanced("home", client, server);
  });

  test("several clients, and several sessions of one, keep apart", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    const members = await Promise.all(
      [home, home, home, office, office].map(async (who) => ({
        client: await testClient(server.port, who, { tcp: { lanes: 2 } }),
        end: await udpEnd(),
      })),
    );
    for (let i = 0; i < 50; i++) {
      for (const [at, { client, end }] of members.entries()) end.sendTo(client.port, marked(at * 1_000 + i));
      await turn();
    }
    for (const { end } of members) await end.count(50);
    for (const [at, { end }] of members.entries())
      expect(end.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(range(50, at * 1_000));
    expect(new Set(wg.fromPorts).size).toBe(5);
    const { sessions, clients } = server.role.status();
    expect(sessions.map((session) => session.clientCn).toSorted()).toEqual([
      "home",
      "home",
      "home",
      "office",
      "office",
    ]);
    // Counters are a CN's: three sessions in one, two in the other.
    expect([clients.get("home")?.up.outPackets, clients.get("office")?.up.outPackets]).toEqual([150, 100]);
    for (const { client, end } of members) {
      await client[Symbol.asyncDispose]();
      end[Symbol.dispose]();
    }
  });
});

describe("a local side that nobody listens on", () => {
  test("a closed WireGuard port costs nothing once it opens, and the log says so", async () => {
    using end = await udpEnd();
    using probe = await udpEnd();
    const { port } = probe;
    probe[Symbol.dispose]();
    await using server = await testServer(port);
    await using client = await testClient(server.port, home);
    for (let i = 0; i < 100; i++) {
      end.sendTo(client.port, marked(i));
      await turn();
    }
    const { up } = await server.known("home");
    await until("them all to be sent into the void", () => up.outPackets === 100);
    await until("word of it", () => server.logbook.has("udp_unreachable"));
    expect(server.logbook.find("udp_unreachable")).toMatchObject([
      { level: "warn", client_cn: "home", to: `127.0.0.1:${port}`, err_kind: "ECONNREFUSED" },
    ]);
    using wg = await udpEnd({ port, echo: true });
    for (let i = 100; i < 1_100; i++) {
      end.sendTo(client.port, marked(i));
      if (i % 7 === 0) await turn();
    }
    await wg.count(1_000);
    await end.count(1_000);
    expect(wg.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(range(1_000, 100));
    expect(balance("up", "home", client, server)).toEqual({ in: 1_100, out: 1_100, dropped: {}, queued: 0 });
    expect(client.logbook.has("lane_close")).toBe(false);
  });

  test("a local peer that has gone costs its successor nothing", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    using before = await udpEnd();
    before.sendTo(client.port, marked(0));
    await wg.count(1);
    before[Symbol.dispose]();
    const session = wg.fromPorts[0] ?? 0;
    for (let i = 0; i < 100; i++) {
      wg.sendTo(session, marked(i));
      await turn();
    }
    const { down } = client.counters("home");
    await until("them all to be sent into the void", () => down.outPackets === 100);
    using after = await udpEnd();
    after.sendTo(client.port, marked(0));
    await wg.count(2);
    for (let i = 100; i < 1_100; i++) {
      wg.sendTo(session, marked(i));
      if (i % 7 === 0) await turn();
    }
    await after.count(1_000);
    expect(after.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(range(1_000, 100));
    expect(balance("down", "home", client, server)).toEqual({ in: 1_100, out: 1_100, dropped: {}, queued: 0 });
  });
});
