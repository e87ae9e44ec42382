import { afterAll, describe, expect, test } from "bun:test";
import { concat, hex, numberOf, utf8 } from "../bytes.ts";
import { identity, strangersCa } from "./support/identities.ts";
import { lanesUp, stop, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { dataPdu } from "./support/raw-lane.ts";
import { scriptedHttps, switching } from "./support/scripted-https.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** The tunnel over WebSockets: the same lanes, sessions and datagrams, one layer up. */

const home = await identity({ cn: "home" });
const stranger = await identity({ cn: "home", issuer: strangersCa });
const wss = { transport: "wss", wss: { path: "/hidden/way", host: undefined } } as const;

afterAll(() => expectNoSecretsInLogs(home));

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Level and text of everything that went wrong. */
function troubles(node: TestNode): string[] {
  return node.logbook.lines.filter(({ level }) => level === "warn" || level === "error").map(({ event }) => event);
}

describe("lanes over wss", () => {
  test("carry datagrams of every size both ways, unchanged", async () => {
    using wg = await udpEnd({ echo: true });
    // A machine that is busy with other things must not make the queue thin itself out.
    const settings = { tcp: wss, queue: { target_ms: 0 } };
    await using server = await testServer(wg.port, settings);
    await using client = await testClient(server.port, home, settings);
    using end = await udpEnd();
    const sizes = [4, 100, 112, 113, 114, 1_200, 1_452, 9_000, 65_507];
    const sent = range(2_000).map((i) => marked(i, sizes[i % sizes.length]));
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
      expect(troubles(node)).toEqual([]);
    }
  });

  test("close when idle and return with the next datagram", async () => {
    using _time = drivenTime();
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port, { tcp: { ...wss, idle_seconds: 1 } });
    await using client = await testClient(server.port, home, { tcp: { ...wss, lanes: 3, idle_seconds: 1 } });
    using end = await udpEnd();
    for (let i = 0; i < 3; i++) {
      end.sendTo(client.port, marked(i));
      await end.count(i + 1);
      await lanesUp(client, "home", 3);
      await lanesUp(client, "home", 0);
      await until("the server's ends", () => server.session("home")?.lanes.length === 0);
    }
    expect([client.logbook.find("idle_close").length, new Set(wg.fromPorts).size]).toEqual([3, 1]);
    expect([troubles(client), troubles(server)]).toEqual([[], []]);
  });

  test("bring everything over that was accepted when a node stops, in either direction", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, { tcp: wss });
    await using client = await testClient(server.port, home, { tcp: { ...wss, lanes: 2 }, queue: { target_ms: 0 } });
    using end = await udpEnd();
    end.sendTo(client.port, ...range(1_000).map((i) => marked(i, 1_000)));
    await until("them to be in", () => client.counters("home").up.inPackets === 1_000);
    const back = wg.fromPorts[0];
    if (back !== undefined) wg.sendTo(back, marked(1));
    await stop(client);
    await wg.count(1_000);
    expect(client.counters("home").up).toMatchObject({ inPackets: 1_000, outPackets: 1_000 });
    expect([troubles(client), troubles(server)]).toEqual([[], []]);
  });

  test("keep the backlog out of the kernel: a reader that stops leaves datagrams in the queue", async () => {
    await using server = await scriptedHttps((key) => switching(key));
    await using client = await testClient(server.port, home, {
      tcp: { ...wss, lanes: 1, sndbuf: 65_536 },
      queue: { target_ms: 0 },
    });
    using end = await udpEnd();
    end.sendTo(client.port, marked(0));
    await lanesUp(client, "home", 1);
    server.sockets[0]?.pause();
    for (let i = 1; (client.session("home")?.queue.packets ?? 0) < 500; i++) {
      end.sendTo(client.port, marked(i, 1_400));
      await turn();
    }
    server.sockets[0]?.resume();
    await until("all of it", () => client.session("home")?.queue.packets === 0);
    const sent = client.counters("home").up;
    await until("the stream", () => server.stream.length > sent.outBytes);
    expect(sent.drops).toMatchObject({ oldest: 0, lane_lost: 0 });
  });
});

describe("two ends that do not fit are told why", () => {
  test("a client of tcp at a server of wss", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, { tcp: wss });
    await using client = await testClient(server.port, home, { tcp: { lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await until("the end", () => client.logbook.has("lane_close"));
    expect(client.logbook.find("lane_close")[0]?.hint).toBe(
      "the server answered with something else than frames: check that tcp.transport is the same there",
    );
    expect(server.logbook.find("tls_handshake_fail")).toMatchObject([
      { reason: "visitor", detail: "no HTTP request; a client of ut must set tcp.transport: wss, too" },
    ]);
  });

  const cases: readonly [name: string, server: Parameters<typeof testServer>[1], who: typeof home, problem: RegExp][] =
    [
      [
        "a client of wss at a server of tcp",
        {},
        home,
        /its answer is not HTTP; check that tcp.transport is wss at the server, too$/,
      ],
      [
        "another path",
        { tcp: { ...wss, wss: { path: "/other", host: undefined } } },
        home,
        /it answered 404 Not Found; check that tcp.wss.path/,
      ],
      [
        "a certificate of another CA",
        { tcp: wss },
        stranger,
        /in the server's log whether it refused this certificate$/,
      ],
      [
        "a name that is shut out",
        { tcp: wss, tls: { deny_cn: ["home"] } },
        home,
        /in the server's log whether it refused/,
      ],
    ];
  test.each(cases)("%s", async (_name, settings, who, problem) => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, settings);
    await using client = await testClient(server.port, who, { tcp: { ...wss, lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await until("the end", () => client.logbook.has("lane_dial_fail"));
    const [line] = client.logbook.find("lane_dial_fail");
    expect([line?.err_kind, line?.err]).toEqual(["wss.refused", expect.stringMatching(problem)]);
    expect(line?.err).toContain(`wss://127.0.0.1:${server.port}/hidden/way (127.0.0.1:${server.port})`);
    expect(client.role.status().ready).toBe(false);
  });
});

const PING = hex("89 02 6869");

describe("a server of another make", () => {
  const start = async (answer: Parameters<typeof scriptedHttps>[0]) => {
    const server = await scriptedHttps(answer);
    const client = await testClient(server.port, home, { tcp: { ...wss, lanes: 1 } });
    const end = await udpEnd();
    end.sendTo(client.port, marked(1));
    return {
      server,
      client,
      end,
      async [Symbol.asyncDispose]() {
        end[Symbol.dispose]();
        await client[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  };

  test("may speak with its answer, in fragments, ping in between, and close", async () => {
    const pdu = dataPdu(marked(9));
    const frames = concat([
      hex("02 05"),
      pdu.subarray(0, 5),
      PING,
      Uint8Array.of(0x80, pdu.length - 5),
      pdu.subarray(5),
    ]);
    await using at = await start((key) => concat([utf8(switching(key)), frames]));
    await at.end.count(1);
    expect(at.end.received).toEqual([marked(9)]);
    expect(at.server.requests[0]).toContain(`GET /hidden/way HTTP/1.1\r\nHost: 127.0.0.1:${at.server.port}\r\n`);
    at.server.sockets[0]?.write(hex("88 02 03e9"));
    await until("the lane to end", () => at.client.logbook.has("lane_close"));
    expect([at.server.closeCode, troubles(at.client)]).toEqual([1001, []]);
    // It had worked, so it is dialled again at once.
    await until("the next one", () => at.server.requests.length === 2);
  });

  test.each([
    ["404", () => "HTTP/1.1 404 Not Found\r\n\r\n", /it answered 404 Not Found/],
    ["garbage", () => hex("00ff00ff"), /its answer is not HTTP/],
    ["a greeting of mail", () => "220 mail.example ESMTP\r\n\r\n", /its answer is not HTTP/],
    ["a head without an end", () => `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(2_000)}`, /its answer is not HTTP/],
    ["another key's answer", () => switching("x"), /does not fit the request$/],
    ["another subprotocol", (key: string) => switching(key, "chat"), /did not choose the subprotocol ut.v1/],
    ["nothing", () => "", /^Cannot open a WebSocket at wss:.*: the connection was closed without an answer$/],
  ] as const)("that answers with %s", async (_name, answer, problem) => {
    await using at = await start(answer);
    await until("the end", () => at.client.logbook.has("lane_dial_fail"));
    const [line] = at.client.logbook.find("lane_dial_fail");
    expect(line).toMatchObject({ err_kind: "wss.refused", err: expect.stringMatching(problem) });
    await until("its socket to go", () => at.server.sockets[0]?.destroyed === true);
    expect(at.client.role.status()).toMatchObject({ ready: false, sessions: [{ lanes: [], queue: { packets: 1 } }] });
  });

  test("that is silent has ten seconds", async () => {
    using time = drivenTime();
    await using at = await start(() => undefined);
    await until("the request", () => at.server.requests.length === 1);
    time.advance(10_000);
    await until("the end", () => at.client.logbook.has("lane_dial_fail"));
    expect(at.client.logbook.find("lane_dial_fail")[0]?.err).toMatch(/no answer within 10 s$/);
  });

  test.each([
    ["a text frame", "81 02 6869", "ws_text", 1003],
    ["a masked frame", "82 81 00000000 55", "ws_mask", 1002],
    ["a huge frame", "82 7f 7fffffffffffffff", "ws_too_large", 1009],
  ])("that sends %s costs its lane, is named, and dialled again", async (_name, bytes, kind, code) => {
    await using at = await start((key) =>
      concat([utf8(switching(key)), hex("82 0d"), dataPdu(new Uint8Array(4)), hex(bytes)]),
    );
    await until("the lane to end", () => at.client.logbook.has("lane_close"));
    expect(at.client.counters("home").frameErrors.get(kind as "ws_text")).toBe(1);
    expect(at.client.logbook.find("frame_err")[0]).toMatchObject({
      kind,
      lane_id: 0,
      remote: `127.0.0.1:${at.server.port}`,
    });
    expect(at.client.logbook.find("lane_close")[0]).toMatchObject({
      err_kind: "lane.closed",
      err: expect.stringContaining(kind),
    });
    expect(at.server.closeCode).toBe(code);
    await until("the next one", () => at.server.requests.length === 2);
  });
});
