import { afterAll, describe, expect, test } from "bun:test";
import { numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { lanesUp, stop, testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** The tunnel over WebSockets: the same lanes, sessions and datagrams, one layer up. */

const home = await identity({ cn: "home" });
const WSS = { tcp: { transport: "wss", wss: { path: "/hidden/way" } } } as const;

afterAll(() => expectNoSecretsInLogs(home));

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("lanes over wss", () => {
  test("carry datagrams of every size both ways, unchanged", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port, WSS);
    await using client = await testClient(server.port, home, WSS);
    using end = await udpEnd();
    const sizes = [0, 1, 125, 126, 127, 1_200, 1_452, 9_000, 65_507];
    const sent = range(2_000).map((i) => marked(i, (sizes[i % sizes.length] ?? 0) + 0));
    for (const [i, datagram] of sent.entries()) {
      end.sendTo(client.port, datagram);
      if (i % 10 === 9) await until("their echo", () => end.received.length >= i - 40);
    }
    await end.count(sent.length);
    expect(end.received.toSorted((a, b) => numberOf(a) - numberOf(b))).toEqual(sent);
    await lanesUp(client, "home", 5);
    expect(client.session("home")).toMatchObject({ caps: ["seq", "channel"] });
    for (const node of [client, server]) {
      expect([...node.counters("home").frameErrors]).toEqual([]);
      expect(node.logbook.lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
    }
  });
});
