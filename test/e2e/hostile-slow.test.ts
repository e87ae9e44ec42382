import { afterAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { MAX_PENDING_PER_ADDRESS } from "../../src/core/tunnel/handshake-gate.ts";
import { concat, hex, utf8 } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { lanesUp, testClient } from "./support/nodes.ts";
import { controlPdu, dataPdu, HELLO, type RawLane, rawLane } from "./support/raw-lane.ts";
import { expectIntact, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** Those who take their time, take room, or take nothing: what they hold has a number and an end. */

const mallory = await identity({ cn: "mallory" });
const real = await identity({ cn: "real" });

afterAll(() => expectNoSecretsInLogs(mallory, real));

describe("a PDU that never ends is cut after 30 s", () => {
  for (const [where, greet] of [
    ["as the first bytes", false],
    ["behind a HELLO", true],
  ] as const) {
    for (const [what, bytes] of [
      ["one byte of a header", hex("55")],
      ["a header without its payload", hex("5554 01 01 00 00000100")],
      ["half a payload", concat([hex("5554 01 01 00 00000100"), new Uint8Array(128)])],
    ] as const) {
      test(`${what}, ${where}`, async () => {
        using time = drivenTime();
        await using at = await scene();
        using lane = await rawLane({ port: at.server.port, identity: mallory });
        if (greet) {
          lane.hello();
          await until("hello_ack", () => lane.controls.length === 1);
        }
        const { frameErrors } = await at.server.known("mallory");
        lane.send(bytes);
        for (let i = 0; i < 20; i++) await turn();
        time.advance(29_000);
        for (let i = 0; i < 20; i++) await turn();
        expect([...frameErrors]).toEqual([]);
        expect(lane.isClosed).toBe(false);
        time.advance(1_000);
        await lane.closed();
        expect(lane.controls.at(-1)).toEqual({ type: "err", kind: "slow_pdu", message: "" });
        expect([...frameErrors]).toEqual([["slow_pdu", 1]]);
        const lines = at.server.logbook.find("frame_err");
        expect(lines.map(({ level, client_cn, kind, remote }) => ({ level, client_cn, kind, remote }))).toEqual([
          { level: "warn", client_cn: "mallory", kind: "slow_pdu", remote: lane.local },
        ]);
        await expectIntact(at);
      });
    }
  }

  test("also where its sender never closes: counted once, and the socket is cut 5 s later", async () => {
    using time = drivenTime();
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory, keepOpen: true });
    lane.hello();
    await until("hello_ack", () => lane.controls.length === 1);
    lane.send(hex("5554"));
    for (let i = 0; i < 20; i++) await turn();
    time.advance(30_000);
    await until("the error", () => lane.controls.length === 2);
    expect(at.server.logbook.has("lane_close", { client_cn: "mallory" })).toBe(false);
    time.advance(5_000);
    await until("the end", () => at.server.logbook.has("lane_close", { client_cn: "mallory" }));
    expect([...at.server.counters("mallory").frameErrors]).toEqual([["slow_pdu", 1]]);
    expect(at.server.logbook.find("frame_err")).toHaveLength(1);
    await expectIntact(at);
  });

  test("but one that comes a byte at a time within them is a datagram like any other", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello();
    for (const byte of dataPdu(marked(5, 20))) {
      lane.send(Uint8Array.of(byte));
      await turn();
    }
    await until("its echo", () => lane.datagrams.length === 1);
    expect(lane.datagrams).toEqual([marked(5, 20)]);
    await expectIntact(at);
  });
});

describe("before there is a certificate", () => {
  test("a TCP connection that says nothing is cut after 10 s", async () => {
    using time = drivenTime();
    await using at = await scene();
    const silent = await plainTcp(at.server.port);
    for (let i = 0; i < 20; i++) await turn();
    time.advance(9_000);
    for (let i = 0; i < 20; i++) await turn();
    expect(silent.closed).toBe(false);
    time.advance(1_000);
    await until("it to be closed", () => silent.closed);
    expect(at.server.role.status().tlsHandshakeFailures.get("timeout")).toBe(1);
    expect(at.server.logbook.find("tls_handshake_fail")).toMatchObject([
      { level: "warn", reason: "timeout", remote: silent.local, detail: "no TLS handshake within 10 s" },
    ]);
    await expectIntact(at);
  });

  test("half a ClientHello, too", async () => {
    using time = drivenTime();
    await using at = await scene();
    const slow = await plainTcp(at.server.port);
    slow.socket.write(hex("16 0301 0200 01 0001fc 0303"));
    for (let i = 0; i < 20; i++) await turn();
    time.advance(10_000);
    await until("it to be closed", () => slow.closed);
    expect([...at.server.role.status().tlsHandshakeFailures]).toEqual([["timeout", 1]]);
    await expectIntact(at);
  });

  for (const [name, bytes] of [
    ["HTTP", utf8("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["SSH", utf8("SSH-2.0-OpenSSH_9.9\r\n")],
    ["a PDU without TLS", controlPdu({ ...HELLO, session_id: "" })],
    ["noise", Uint8Array.from({ length: 500 }, (_, i) => (i * 37 + 200) & 0xff)],
  ] as const) {
    test(`${name} is refused as not_tls`, async () => {
      await using at = await scene();
      const stranger = await plainTcp(at.server.port);
      stranger.socket.write(bytes);
      await until("it to be closed", () => stranger.closed);
      expect([...at.server.role.status().tlsHandshakeFailures]).toEqual([["not_tls", 1]]);
      expect(at.server.logbook.find("tls_handshake_fail")).toMatchObject([
        { level: "warn", reason: "not_tls", remote: stranger.local },
      ]);
      await expectIntact(at);
    });
  }

  test("a connection that is dropped at once is counted as closed", async () => {
    await using at = await scene();
    const visitor = await plainTcp(at.server.port);
    visitor.socket.destroy();
    await until("the log line", () => at.server.logbook.has("tls_handshake_fail"));
    expect([...at.server.role.status().tlsHandshakeFailures]).toEqual([["closed", 1]]);
    expect(at.server.logbook.find("tls_handshake_fail")).toMatchObject([{ reason: "closed", remote: visitor.local }]);
    await expectIntact(at);
  });

  test("10,000 connections from eight addresses: bounded, counted, and a real client still gets in", async () => {
    const CONNECTIONS = 10_000;
    await using at = await scene();
    const refusals = () => [...at.server.role.status().tlsHandshakeFailures.values()].reduce((sum, n) => sum + n, 0);
    // 32 of each of 8 addresses may stay, so that many more than may are open at a time.
    const flood = Bun.spawn(
      [process.execPath, "test/e2e/support/flood.ts", `${at.server.port}`, `${CONNECTIONS}`, "400"],
      {
        stdin: "pipe",
        stdout: "pipe",
      },
    );
    await until("a tenth of it", () => refusals() > CONNECTIONS / 10);
    const early = residentBytes();
    using end = await udpEnd();
    await using client = await testClient(at.server.port, real, { tcp: { lanes: 2 } });
    end.sendTo(client.port, marked(1));
    await end.count(1);
    await lanesUp(client, "real", 2);
    await until("nearly all of it", () => refusals() > CONNECTIONS - 400, 30_000);
    const late = residentBytes();
    flood.stdin.end();
    const opened = Number(await new Response(flood.stdout).text());
    expect(opened).toBeGreaterThanOrEqual(CONNECTIONS);
    await until("the last refusals", () => refusals() === opened);
    const failures = at.server.role.status().tlsHandshakeFailures;
    expect([...failures.keys()].toSorted()).toEqual(["closed", "crowded_out"]);
    expect(failures.get("crowded_out")).toBeGreaterThan(1_000);
    // One line a second at most, not one for each.
    expect(at.server.logbook.find("tls_handshake_fail").length).toBeLessThan(60);
    expect((late - early) / 2 ** 20).toBeLessThan(64);
    await expectIntact(at);
  }, 40_000);
});

describe("with a certificate", () => {
  test("silent connections are bounded for each CN, the oldest goes", async () => {
    await using at = await scene();
    const lanes: RawLane[] = [];
    for (let i = 0; i < MAX_PENDING_PER_ADDRESS + 3; i++)
      lanes.push(await rawLane({ port: at.server.port, identity: mallory }));
    await until("three to be closed", () => lanes.filter((lane) => lane.isClosed).length === 3);
    expect(lanes.map((lane) => lane.isClosed)).toEqual(lanes.map((_, i) => i < 3));
    expect([...at.server.role.status().tlsHandshakeFailures]).toEqual([["crowded_out", 3]]);
    expect(at.server.logbook.find("tls_handshake_fail")).toMatchObject([
      { reason: "crowded_out", remote: lanes[0]?.local },
    ]);
    for (const lane of lanes) lane[Symbol.dispose]();
    await expectIntact(at);
  });

  test("one that never reads costs the server a queue and no more", async () => {
    await using at = await scene({ queue: { max_packets: 500 } });
    using lane = await rawLane({ port: at.server.port, identity: mallory, paused: true });
    lane.hello();
    let sent = 0;
    const { down } = await at.server.known("mallory");
    // Until the sockets are full and the queue is, and then 500 more.
    await until(
      "datagrams to be dropped",
      () => {
        for (let i = 0; i < 20; i++) lane.send(dataPdu(marked(sent++, 1_400), -1));
        return down.drops.oldest > 500;
      },
      20_000,
    );
    const session = at.server.session("mallory");
    expect(session?.queue.packets).toBeLessThanOrEqual(500);
    expect(session?.queue.bytes).toBeLessThanOrEqual(500 * 1_400);
    expect(at.server.logbook.has("queue_drop_oldest", { client_cn: "mallory" })).toBe(true);
    expect(at.server.logbook.find("queue_drop_oldest").length).toBeLessThan(5);
    await expectIntact(at);
  }, 30_000);
});

function residentBytes(): number {
  Bun.gc(true);
  return process.memoryUsage.rss();
}

async function plainTcp(port: number): Promise<{ socket: Socket; local: string; readonly closed: boolean }> {
  const socket = connect({ host: "127.0.0.1", port });
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.resume();
  await until("a TCP connection", () => !socket.connecting);
  const local = `${socket.localAddress}:${socket.localPort}`;
  return {
    socket,
    local,
    get closed() {
      return closed;
    },
  };
}
