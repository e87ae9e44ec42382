import { afterAll, describe, expect, test } from "bun:test";
import { STALE_MS } from "../../src/core/tunnel/outbound.ts";
import type { ResolvedAddress } from "../../src/io/tcp/happy-eyeballs.ts";
import { numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { balance, expectBalanced } from "./support/ledger.ts";
import { lanesUp, stop, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";
import { wire } from "./support/wire.ts";

/** What client and server do over their lives: dial, come back, move, end. */

const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });

afterAll(() => expectNoSecretsInLogs(home, office));

const V4: ResolvedAddress = { address: "127.0.0.1", family: 4 };
const V6: ResolvedAddress = { address: "::1", family: 6 };

function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

describe("dialling", () => {
  test("begins with the first datagram, and none is lost meanwhile", async () => {
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    for (let i = 0; i < 20; i++) await turn();
    expect(server.role.status().clients.size).toBe(0);
    end.sendTo(client.port, ...range(500).map((i) => marked(i, 1_200)));
    await end.count(500);
    expect(end.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(range(500));
    await lanesUp(client, "home", 5);
    expect(balance("up", "home", client, server)).toEqual({ in: 500, out: 500, dropped: {}, queued: 0 });
    expect(client.handshakes).toEqual(["home", "home", "home", "home", "home"]);
    expect(client.counters("home").laneReconnects).toBe(0);
  });

  test("begins at start with prewarm", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home, { tcp: { prewarm: true, lanes: 3 } });
    await lanesUp(client, "home", 3);
    await lanesUp(server, "home", 3);
    await until("the greeting", () => client.session("home")?.caps.includes("seq") === true);
    expect(server.session("home")?.sessionId).toBe(client.session("home")?.sessionId ?? "");
  });

  test("goes on with backoff while the server is down, says that it is not ready, and recovers", async () => {
    using _time = drivenTime();
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    const gone = await testServer(wg.port);
    const { port } = gone;
    await stop(gone);
    await using client = await testClient(port, home, { tcp: { prewarm: true, lanes: 2 } });
    await until("two failures", () => client.logbook.find("lane_dial_fail").length >= 2);
    expect(client.role.status()).toMatchObject({
      ready: false,
      notReadyReason: `Cannot connect to 127.0.0.1:${port}: connection refused (ECONNREFUSED); check that the server runs and that its TCP port is reachable`,
    });
    await using server = await testServer(wg.port, { tcp: { listen_addr: { host: "127.0.0.1", port } } });
    await lanesUp(client, "home", 2);
    await until("a greeting", () => client.role.status().ready);
    end.sendTo(client.port, marked(1));
    await end.count(1);
    expect(server.session("home")?.lanes).toHaveLength(2);
  });

  test("a server that is away for long: the fresh arrive, the stale are dropped and counted", async () => {
    using _time = drivenTime();
    using wg = await udpEnd();
    using end = await udpEnd();
    const first = await testServer(wg.port);
    const { port } = first;
    await using client = await testClient(port, home, { tcp: { lanes: 2 } });
    end.sendTo(client.port, marked(0));
    await wg.count(1);
    await stop(first);
    await lanesUp(client, "home", 0);
    const { up } = client.counters("home");
    end.sendTo(client.port, ...range(10, 1).map((i) => marked(i)));
    await until("them to be in", () => up.inPackets === 11);
    for (let ms = 0; ms < STALE_MS + 200; ms++) await turn();
    end.sendTo(client.port, ...range(10, 11).map((i) => marked(i)));
    await until("these, too", () => up.inPackets === 21);
    await using second = await testServer(wg.port, { tcp: { listen_addr: { host: "127.0.0.1", port } } });
    await wg.count(11);
    expect(wg.received.map(numberOf)).toEqual([0, ...range(10, 11)]);
    expect(up.drops.stale).toBe(10);
    await expectBalanced("home", client, first, second);
  });

  test("resolves the name anew each time: a server that has moved is found", async () => {
    using _time = drivenTime();
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    const before = await testServer(wg.port);
    const { port } = before;
    let answer = [V4];
    const asked: string[] = [];
    await using client = await testClient(port, home, {
      tcp: { lanes: 2, server_addr: [{ host: "ut.test", port }] },
      resolve: async (host) => {
        asked.push(host);
        return answer;
      },
    });
    end.sendTo(client.port, marked(1));
    await end.count(1);
    await lanesUp(client, "home", 2);
    expect(asked).toEqual(["ut.test", "ut.test"]);
    answer = [V6];
    await using after = await testServer(wg.port, { tcp: { listen_addr: { host: "::1", port } } });
    await stop(before);
    await lanesUp(after, "home", 2);
    end.sendTo(client.port, marked(2));
    await end.count(2);
    expect(after.session("home")?.lanes.every((lane) => lane.remote.startsWith("[::1]:"))).toBe(true);
  });

  test("reaches a server by IPv6", async () => {
    using wg = await udpEnd({ echo: true, host: "::1" });
    using end = await udpEnd({ host: "::1" });
    await using server = await testServer(0, {
      tcp: { listen_addr: { host: "::1", port: 0 } },
      udp: { wg_udp_addr: { host: "::1", port: wg.port } },
    });
    await using client = await testClient(server.port, home, {
      tcp: { server_addr: [{ host: "::1", port: server.port }] },
      udp: { listen_addr: { host: "::1", port: 0 } },
    });
    end.sendTo(client.port, marked(1));
    await end.count(1);
    expect(server.role.status().listen).toBe(`[::1]:${server.port}`);
    expect(client.session("home")?.lanes[0]?.remote).toBe(`[::1]:${server.port}`);
  });

  test("passes over the addresses of a name that do not answer (RFC 8305)", async () => {
    using wg = await udpEnd({ echo: true });
    using end = await udpEnd();
    // Nobody listens on ::1 at this port.
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home, {
      tcp: { lanes: 2, server_addr: [{ host: "ut.test", port: server.port }] },
      resolve: async () => [V6, V4],
    });
    end.sendTo(client.port, marked(1));
    await end.count(1);
    await lanesUp(client, "home", 2);
    expect(client.logbook.find("lane_dial_fail")).toEqual([]);
    expect(client.session("home")?.lanes.map((lane) => lane.remote)).toEqual([
      `127.0.0.1:${server.port}`,
      `127.0.0.1:${server.port}`,
    ]);
  });

  test("a name that cannot be resolved is a line in the log, and no more", async () => {
    await using client = await testClient(9, home, {
      tcp: { lanes: 1, prewarm: true, server_addr: [{ host: "no.such.host.invalid", port: 9 }] },
    });
    await until("the failure", () => client.logbook.has("lane_dial_fail"));
    expect(client.logbook.find("lane_dial_fail")).toMatchObject([
      {
        level: "warn",
        lane_id: 0,
        err: expect.stringMatching(/^Cannot resolve "no\.such\.host\.invalid": .*; check the name in tcp.server_addr/),
        err_kind: "io.resolve",
      },
    ]);
  });
});

describe("draining while a dial is under way", () => {
  test("delivers what was accepted before", async () => {
    using wg = await udpEnd();
    using end = await udpEnd();
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, home);
    end.sendTo(client.port, ...range(40).map((i) => marked(i)));
    await until("them to be in", () => client.counters("home").up.inPackets === 40);
    expect(client.session("home")?.lanes).toEqual([]);
    await stop(client);
    await wg.count(40);
    expect(wg.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(range(40));
    expect(client.counters("home").up).toMatchObject({ inPackets: 40, outPackets: 40, drops: { closed: 0 } });
  });

  test("gives up at its deadline, and counts what it gives up", async () => {
    using wg = await udpEnd();
    using end = await udpEnd();
    await using server = await testServer(wg.port);
    await using network = await wire(server.port);
    await using client = await testClient(network.port, home, { tcp: { lanes: 2 } });
    end.sendTo(client.port, ...range(40).map((i) => marked(i)));
    await until("a connection", () => network.connections.length === 2);
    for (const connection of network.connections) connection.hold();
    await until("them to be in", () => client.counters("home").up.inPackets === 40);
    await stop(client, 50);
    const { up } = client.counters("home");
    expect({ out: up.outPackets, closed: up.drops.closed }).toEqual({ out: 0, closed: 40 });
  });

  test("ends at once when the server is not there", async () => {
    using end = await udpEnd();
    using wg = await udpEnd();
    const gone = await testServer(wg.port);
    await stop(gone);
    await using client = await testClient(gone.port, home);
    end.sendTo(client.port, marked(1));
    await until("failures", () => client.logbook.find("lane_dial_fail").length === 5);
    const startedAt = performance.now();
    await stop(client);
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(client.counters("home").up.drops.closed).toBe(1);
  });
});
