import { afterAll, expect, test } from "bun:test";
import { parseAddress } from "../../src/config/address.ts";
import { numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { expectBalanced } from "./support/ledger.ts";
import { lanesUp, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";

/** IPv6 where IPv4 usually is: on the lanes, at both UDP ends, in every text. */

const home = await identity({ cn: "home" });
afterAll(() => expectNoSecretsInLogs(home));

const numbers = Array.from({ length: 100 }, (_, i) => i);

test("lanes and both UDP ends over IPv6 alone; addresses stand in brackets wherever they are told", async () => {
  using wg = await udpEnd({ echo: true, host: "::1" });
  using end = await udpEnd({ host: "::1" });
  const udp = { wg_udp_addr: { host: "::1", port: wg.port } };
  await using server = await testServer(wg.port, { udp }, "::1");
  await using client = await testClient(server.port, home, {
    tcp: { server_addr: [{ host: "::1", port: server.port }] },
    udp: { listen_addr: { host: "::1", port: 0 } },
  });
  end.sendTo(client.port, ...numbers.map((number) => marked(number, 1_200)));
  await end.count(100);
  expect(end.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(numbers);
  await lanesUp(client, "home", 5);
  const inBrackets = /^\[::1\]:\d+$/;
  const texts = [client, server].flatMap(({ role }) => {
    const { listen, sessions, servers } = role.status();
    return [listen, sessions.map(({ udp }) => udp), sessions.map(({ lanes }) => lanes[0]?.remote), servers?.addresses];
  });
  const told = texts.flat().filter((text) => text !== undefined);
  expect(told).toHaveLength(7);
  expect(told.filter((text) => !inBrackets.test(text))).toEqual([]);
  expect(client.logbook.find("lane_open")[0]?.remote).toBe(`[::1]:${server.port}`);
  await expectBalanced("home", client, server);
});

test("a server on every interface takes both families, and knows IPv4 by its own name", async () => {
  using wg = await udpEnd({ echo: true });
  using end = await udpEnd();
  const { host } = parseAddress(":5443");
  await using server = await testServer(wg.port, {}, host);
  for (const address of ["127.0.0.1", "::1"]) {
    await using client = await testClient(server.port, home, {
      tcp: { lanes: 1, server_addr: [{ host: address, port: server.port }] },
    });
    const before = end.received.length;
    end.sendTo(client.port, marked(1));
    await end.count(before + 1);
  }
  const remotes = server.logbook.find("lane_open").map(({ remote }) => String(remote).replace(/\d+$/, ""));
  expect(remotes).toEqual(["127.0.0.1:", "[::1]:"]);
});

test("what cannot be had is named in brackets, too", async () => {
  using taken = await udpEnd({ host: "::1" });
  const udp = { listen_addr: { host: "::1", port: taken.port } };
  await expect(testClient(9, home, { udp })).rejects.toThrow(`Cannot bind UDP [::1]:${taken.port}`);
  using wg = await udpEnd();
  await using server = await testServer(wg.port, {}, "::1");
  const tcp = { listen_addr: { host: "::1", port: server.port } };
  await expect(testServer(wg.port, { tcp })).rejects.toThrow(`Cannot listen on TCP [::1]:${server.port}`);
});
