import { afterAll, expect, test } from "bun:test";
import type { Address } from "../../src/config/address.ts";
import { numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { lanesUp, stop, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";
import { wire } from "./support/wire.ts";

/** A client with a list of servers, before one WireGuard that both of them lead to. */

const home = await identity({ cn: "home" });

afterAll(() => expectNoSecretsInLogs(home));

function at(port: number): Address {
  return { host: "127.0.0.1", port };
}

function serverAt(port: number, wg: UdpEnd): ReturnType<typeof testServer> {
  return testServer(wg.port, { tcp: { listen_addr: at(port) } });
}

function moves(client: TestNode) {
  return client.role.status().servers?.moves;
}

/** One datagram in each millisecond until `isOver`; returns the next number. */
async function stream(client: TestNode, end: UdpEnd, first: number, isOver: () => boolean): Promise<number> {
  let number = first;
  await until("the end of a stream", () => {
    if (!isOver()) end.sendTo(client.port, marked(number++));
    return isOver();
  });
  return number;
}

function missing(end: UdpEnd, count: number): number[] {
  const seen = new Set(end.received.map(numberOf));
  return Array.from({ length: count }, (_, i) => i).filter((number) => !seen.has(number));
}

test("a server that is killed is replaced by the next one, and returned to when it answers, without losing a datagram", async () => {
  using _time = drivenTime();
  using wg = await udpEnd({ echo: true });
  using end = await udpEnd();
  const first = await serverAt(0, wg);
  await using second = await serverAt(0, wg);
  await using client = await testClient(first.port, home, {
    tcp: { lanes: 2, server_addr: [at(first.port), at(second.port)] },
  });
  let sent = await stream(client, end, 0, () => end.received.length >= 200);
  expect(second.role.status().sessions).toEqual([]);
  await first[Symbol.asyncDispose]();
  const killedAt = sent;
  sent = await stream(client, end, sent, () => end.received.length >= 400);
  expect(client.role.status()).toMatchObject({
    ready: true,
    servers: { current: 1, moves: { failed: 1, returned: 0 } },
  });
  // What was on its way when the server died is lost, and nothing else.
  const lost = missing(end, sent - 50);
  console.log(`killed: ${lost.length} of ${sent} datagrams lost`);
  expect(lost.length === 0 || (lost[0] ?? 0) > killedAt - 50).toBe(true);
  expect(lost.length).toBeLessThan(100);

  await using again = await serverAt(first.port, wg);
  sent = await stream(client, end, sent, () => client.role.status().servers?.current === 0);
  const enough = sent + 500;
  const isLeft = () => client.role.status().sessions.length === 1;
  sent = await stream(client, end, sent, () => isLeft() && end.received.length > enough);
  await until("the last ones", () => end.received.length >= sent - lost.length);
  expect(missing(end, sent)).toEqual(lost);
  expect(end.received.length).toBe(sent - lost.length);
  expect([moves(client), client.logbook.find("server_moved"), client.logbook.find("server_returned")]).toEqual([
    { failed: 1, returned: 1 },
    [expect.objectContaining({ from: `127.0.0.1:${first.port}`, to: `127.0.0.1:${second.port}` })],
    [expect.objectContaining({ from: `127.0.0.1:${second.port}`, to: `127.0.0.1:${first.port}` })],
  ]);
  await lanesUp(client, "home", 2);
  await until("the second server's lanes to end", () => second.session("home")?.lanes.length === 0);
  expect(again.session("home")?.lanes).toHaveLength(2);
});

test("what a lane to the other server never got out goes where everything goes, and nobody dials that one again", async () => {
  using _time = drivenTime();
  using wg = await udpEnd();
  using end = await udpEnd();
  const gone = await serverAt(0, wg);
  await stop(gone);
  await using second = await serverAt(0, wg);
  await using network = await wire(second.port);
  await using client = await testClient(gone.port, home, {
    tcp: { lanes: 1, user_timeout_ms: 12_000, server_addr: [at(gone.port), at(network.port)] },
    queue: { max_packets: 65_536, max_bytes: 1 << 26, target_ms: 0 },
  });
  end.sendTo(client.port, marked(0));
  await wg.count(1);
  for (const connection of network.connections) connection.hold();
  // More than the kernel takes.
  let sent = 1;
  const { up } = client.counters("home");
  for (let queued = 0; queued === 0; queued = client.session("home")?.queue.packets ?? 0) {
    end.sendTo(client.port, ...Array.from({ length: 500 }, () => marked(sent++, 1_200)));
    await until("them to be in", () => up.inPackets === sent);
    for (let ms = 0; ms < 20; ms++) await turn();
  }
  await using _first = await serverAt(gone.port, wg);
  await until("the return", () => client.role.status().servers?.current === 0);
  const before = client.logbook.find("lane_open").length;
  await until("the end of the other lane", () => client.role.status().sessions.length === 1, 20_000);
  await until("what it left behind", () => up.outPackets === sent && client.session("home")?.queue.packets === 0);
  for (let ms = 0; ms < 1_000; ms++) await turn();
  expect(client.logbook.find("lane_open").slice(before)).toEqual([]);
  expect(client.role.status().sessions.map(({ queue, lanes }) => [queue.packets, lanes.length])).toEqual([[0, 1]]);
});

test("a first server that is not there at the start costs no more than a dial", async () => {
  using _time = drivenTime();
  using wg = await udpEnd({ echo: true });
  using end = await udpEnd();
  const gone = await serverAt(0, wg);
  await stop(gone);
  await using second = await serverAt(0, wg);
  await using client = await testClient(gone.port, home, {
    tcp: { lanes: 2, server_addr: [at(gone.port), at(second.port)] },
  });
  end.sendTo(client.port, marked(0), marked(1), marked(2));
  await end.count(3);
  expect([end.received.map(numberOf), moves(client)]).toEqual([[0, 1, 2], { failed: 1, returned: 0 }]);
});

test("one that refuses this certificate is none; with all of them gone, whoever is back first is used", async () => {
  using _time = drivenTime();
  using wg = await udpEnd({ echo: true });
  using end = await udpEnd();
  await using refusing = await testServer(wg.port, { tls: { deny_cn: ["home"] } });
  const second = await serverAt(0, wg);
  await using client = await testClient(refusing.port, home, {
    tcp: { lanes: 1, server_addr: [at(refusing.port), at(second.port)] },
  });
  // With TLS 1.3 a lane takes datagrams before it is refused, and those are lost.
  await stream(client, end, 0, () => end.received.length > 0);
  await stop(second);
  for (let i = 0; i < 12_000; i++) {
    if (i % 100 === 0) end.sendTo(client.port, marked(1));
    await turn();
  }
  expect([moves(client), client.role.status().ready]).toEqual([{ failed: 1, returned: 0 }, false]);
  await using _back = await serverAt(second.port, wg);
  await stream(client, end, 2, () => end.received.length > 20);
  expect(client.role.status()).toMatchObject({ ready: true, servers: { current: 1 } });
});

test("an idle client bothers neither server, and tries the first again with the next datagram", async () => {
  using time = drivenTime();
  using wg = await udpEnd({ echo: true });
  using end = await udpEnd();
  const gone = await serverAt(0, wg);
  await stop(gone);
  await using second = await serverAt(0, wg);
  await using client = await testClient(gone.port, home, {
    tcp: { lanes: 1, idle_seconds: 2, server_addr: [at(gone.port), at(second.port)] },
  });
  end.sendTo(client.port, marked(0));
  await end.count(1);
  await until("the idle close", () => second.session("home")?.lanes.length === 0);
  const dials = client.logbook.find("lane_dial_fail").length;
  time.advance(600_000);
  for (let i = 0; i < 1_000; i++) await turn();
  expect(client.logbook.find("lane_dial_fail").length).toBe(dials);
  await using _first = await serverAt(gone.port, wg);
  end.sendTo(client.port, marked(1));
  await until("the return", () => client.role.status().servers?.current === 0);
  await end.count(2);
});
