import { afterAll, describe, expect, test } from "bun:test";
import { concat, hex, numberOf } from "../bytes.ts";
import { bareServer } from "./support/bare-server.ts";
import { identity } from "./support/identities.ts";
import { lanesUp, stop, testClient, testServer } from "./support/nodes.ts";
import { controlPdu, dataPdu, rawLane } from "./support/raw-lane.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** Peers of another make: one that speaks only DATA, one that knows more than we do, one that talks nonsense. */

const home = await identity({ cn: "home" });

afterAll(() => expectNoSecretsInLogs(home));

function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

describe("a server that speaks only DATA", () => {
  test("carries datagrams both ways, all of them plain", async () => {
    await using server = await bareServer({ echo: true });
    await using client = await testClient(server.port, home);
    using end = await udpEnd();
    for (let i = 0; i < 500; i++) {
      end.sendTo(client.port, marked(i, i));
      if (i % 5 === 0) await turn();
    }
    await end.count(500);
    expect(end.received.toSorted((a, b) => numberOf(a) - numberOf(b))).toEqual(range(500).map((i) => marked(i, i)));
    await lanesUp(client, "home", 5);
    expect(client.session("home")).toMatchObject({ caps: [] });
    expect(client.role.status().ready).toBe(true);
    expect(client.counters("home").up).toMatchObject({ inPackets: 500, outPackets: 500 });
    expect(client.counters("home").down).toMatchObject({ inPackets: 500, outPackets: 500 });
    expect(client.logbook.lines.filter((line) => line.level === "warn" || line.level === "error")).toEqual([]);
  });

  test("and no TLS but 1.2", async () => {
    await using server = await bareServer({ echo: true, maxVersion: "TLSv1.2" });
    await using client = await testClient(server.port, home, { tcp: { lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await end.count(1);
    expect(server.sockets[0]?.getProtocol()).toBe("TLSv1.2");
  });

  test("is let go when idle, although it answers no GOODBYE, and dialled again by the next datagram", async () => {
    using _time = drivenTime();
    await using server = await bareServer({ echo: true });
    await using client = await testClient(server.port, home, { tcp: { lanes: 3, idle_seconds: 1 } });
    using end = await udpEnd();
    for (let i = 0; i < 3; i++) {
      end.sendTo(client.port, marked(i));
      await end.count(i + 1);
      await lanesUp(client, "home", 3);
      await lanesUp(client, "home", 0);
      await until("the server's end", () => server.sockets.length === 0);
    }
    expect(client.logbook.find("idle_close")).toHaveLength(3);
    expect(end.received.map(numberOf)).toEqual([0, 1, 2]);
  });

  test("gets everything when the client drains", async () => {
    await using server = await bareServer();
    await using client = await testClient(server.port, home, { tcp: { lanes: 2 } });
    using end = await udpEnd();
    end.sendTo(client.port, ...range(1_000).map((i) => marked(i, 1_000)));
    await until("them to be in", () => client.counters("home").up.inPackets === 1_000);
    await stop(client);
    await until("all", () => server.received.length === 1_000);
    expect(client.counters("home").up).toMatchObject({ inPackets: 1_000, outPackets: 1_000 });
  });

  test("is dialled again when it breaks", async () => {
    await using server = await bareServer();
    await using client = await testClient(server.port, home, { tcp: { lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(0));
    await until("it", () => server.received.length === 1);
    server.send(marked(1));
    await end.count(1);
    server.sockets[0]?.destroy();
    await until("the loss to be noticed", () => client.logbook.has("lane_close"));
    await lanesUp(client, "home", 1);
    end.sendTo(client.port, marked(2));
    await until("the next one", () => server.received.length === 2);
    expect(server.received.map(numberOf)).toEqual([0, 2]);
  });
});

describe("a client that speaks only DATA", () => {
  test("gets a session of its own over all its connections, and plain answers", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    using one = await rawLane({ port: server.port, identity: home });
    using two = await rawLane({ port: server.port, identity: home });
    for (let i = 0; i < 200; i++) {
      (i % 2 === 0 ? one : two).send(dataPdu(marked(i, i)));
      if (i % 10 === 0) await turn();
    }
    await until("all answers", () => one.datagrams.length + two.datagrams.length === 200);
    const back = [...one.datagrams, ...two.datagrams].toSorted((a, b) => numberOf(a) - numberOf(b));
    expect(back).toEqual(range(200).map((i) => marked(i, i)));
    // Not a word of control, which it would not understand.
    expect([one.controls, two.controls]).toEqual([[], []]);
    expect(new Set(wg.fromPorts).size).toBe(1);
    expect(server.role.status().sessions).toHaveLength(1);
    expect(server.session("home")).toMatchObject({ sessionId: "", caps: [], lanes: [{ id: 0 }, { id: 1 }] });
    expect([...server.counters("home").frameErrors]).toEqual([]);
  });

  test("may keep connections that it has not used yet", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    using used = await rawLane({ port: server.port, identity: home });
    using idle = await rawLane({ port: server.port, identity: home });
    used.send(dataPdu(marked(0)));
    await until("the answer", () => used.datagrams.length === 1);
    expect(idle.isClosed).toBe(false);
    idle.send(dataPdu(marked(1)));
    await until("the answer", () => used.datagrams.length + idle.datagrams.length === 2);
  });

  test("and a datagram cut in two by TCP as its first", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    using lane = await rawLane({ port: server.port, identity: home });
    const pdu = dataPdu(marked(7, 500));
    lane.send(pdu.subarray(0, 100));
    for (let i = 0; i < 5; i++) await turn();
    lane.send(pdu.subarray(100));
    await until("the answer", () => lane.datagrams.length === 1);
    expect(lane.datagrams).toEqual([marked(7, 500)]);
  });

  test("hears GOODBYE and the end of the stream when the server stops, with all that was its own", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port);
    using lane = await rawLane({ port: server.port, identity: home });
    lane.send(dataPdu(marked(0)));
    await wg.count(1);
    const session = wg.fromPorts[0] ?? 0;
    wg.sendTo(session, ...range(300).map((i) => marked(i, 1_000)));
    await until("them to be in", () => server.counters("home").down.inPackets === 300);
    await stop(server);
    await lane.closed();
    expect(lane.datagrams.map(numberOf)).toEqual(range(300));
    expect(lane.controls).toEqual([{ type: "goodbye", reason: "shutdown" }]);
  });
});

describe("peers that know more or less than we do", () => {
  test("a client without SEQ gets plain DATA, one with it numbers", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    for (const caps of [[], ["seq"], ["seq", "later", "much-later"]]) {
      using lane = await rawLane({ port: server.port, identity: home });
      lane.hello({ caps });
      lane.send(dataPdu(marked(1), caps.includes("seq") ? 0 : -1));
      await until("the answer", () => lane.datagrams.length === 1);
      expect(lane.controls).toMatchObject([{ type: "hello_ack", caps: caps.filter((cap) => cap === "seq") }]);
      expect(lane.datagrams).toEqual([marked(1)]);
    }
  });

  test("a server's unknown words and capabilities are passed over", async () => {
    await using server = await bareServer({ echo: true });
    await using client = await testClient(server.port, home, { tcp: { lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(0));
    await end.count(1);
    const session_id = client.session("home")?.sessionId;
    server.sockets[0]?.write(
      concat([
        controlPdu({ type: "weather", sunny: true }),
        controlPdu({ type: "hello_ack", session_id, epoch: 7, caps: ["teleport"], motd: "hi" }),
        dataPdu(marked(1)),
      ]),
    );
    await end.count(2);
    // What only the server named is not agreed.
    expect(client.session("home")).toMatchObject({ caps: [] });
    expect([...client.counters("home").frameErrors]).toEqual([]);
    expect(client.logbook.has("lane_close")).toBe(false);
  });
});

describe("a server that talks nonsense costs its lane, is named, and dialled again", () => {
  for (const { name, bytes, kind } of [
    { name: "garbage", bytes: hex("deadbeef"), kind: "bad_magic" },
    { name: "SEQ that was not agreed", bytes: dataPdu(marked(1), 0), kind: "bad_flags" },
    {
      name: "an answer for another session",
      bytes: controlPdu({ type: "hello_ack", session_id: crypto.randomUUID(), epoch: 1, caps: [] }),
      kind: "bad_hello",
    },
    {
      name: "a HELLO of its own",
      bytes: controlPdu({ type: "hello", session_id: "", lane_id: 0, caps: [] }),
      kind: "bad_hello",
    },
    {
      name: "an epoch out of range",
      bytes: controlPdu({ type: "hello_ack", session_id: "", epoch: -1, caps: [] }),
      kind: "bad_hello",
    },
  ] as const) {
    test(name, async () => {
      await using server = await bareServer({ echo: true });
      await using client = await testClient(server.port, home, { tcp: { lanes: 2 } });
      using end = await udpEnd();
      end.sendTo(client.port, marked(0));
      await end.count(1);
      await lanesUp(client, "home", 2);
      server.sockets[0]?.write(bytes);
      await until("the lane to close", () => client.logbook.has("lane_close"));
      expect([...client.counters("home").frameErrors]).toEqual([[kind, 1]]);
      expect(client.logbook.find("frame_err")).toMatchObject([
        { level: "warn", client_cn: "home", kind, remote: `127.0.0.1:${server.port}` },
      ]);
      end.sendTo(client.port, marked(1), marked(2));
      await end.count(3);
      expect(end.received.map(numberOf)).toEqual([0, 1, 2]);
      expect(client.counters("home").up).toMatchObject({ inPackets: 3, outPackets: 3, drops: { lane_lost: 0 } });
    });
  }
});
