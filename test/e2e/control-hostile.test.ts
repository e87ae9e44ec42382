import { afterAll, describe, expect, test } from "bun:test";
import { MAX_CHANNELS, MAX_PENDING_OPENS, OPENS_PER_WINDOW, SIGNAL_BURST } from "../../src/core/signal/limits.ts";
import type { FrameErrorKind } from "../../src/core/wire/pdu.ts";
import type { SignalInput } from "../../src/core/wire/signal.ts";
import { concat, hex, utf8 } from "../bytes.ts";
import { type ControlPeer, channelPdu, controlPeer, openPipe, shapedOffer } from "./support/control-peer.ts";
import { identity } from "./support/identities.ts";
import { controlPdu, ctrlPdu, dataPdu, HELLO, rawLane } from "./support/raw-lane.ts";
import { expectIntact, type Scene, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** What an authenticated peer can do to a server over control connections, while somebody else's tunnel goes on. */

const mallory = await identity({ cn: "mallory" });
const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });

afterAll(() => expectNoSecretsInLogs(mallory, home, office));

function peers(at: Scene) {
  const { signals } = at.server.role.status();
  if (signals === undefined) throw new Error("the server has no control connections");
  return signals;
}

function residentBytes(): number {
  Bun.gc(true);
  return process.memoryUsage.rss();
}

describe("a control connection ends with", () => {
  const CASES: readonly [string, FrameErrorKind, () => Uint8Array][] = [
    ["a datagram", "unexpected_data", () => dataPdu(utf8("data"))],
    ["a datagram of a channel", "unexpected_data", () => channelPdu(1, utf8("data"))],
    ["another protocol", "bad_magic", () => utf8("GET / HTTP/1.1\r\n\r\n")],
    ["a message of 16 KiB and one byte", "ctrl_too_large", () => hex("5554 01 10 00 00004001")],
    ["what is no JSON", "bad_ctrl", () => ctrlPdu(hex("ff00"))],
    ["JSON 15,000 levels deep", "bad_ctrl", () => ctrlPdu(utf8("[".repeat(15_000)))],
    ["a message without a type", "bad_ctrl", () => controlPdu({ channel: 1 })],
    ["a channel below 1", "bad_ctrl", () => controlPdu({ type: "p2p_close", channel: 0, reason: "" })],
    ["a second hello", "duplicate_hello", () => controlPdu({ ...HELLO, session_id: crypto.randomUUID() })],
    [
      "messages that nobody knows, too many of them",
      "ctrl_flood",
      () => concat(Array.from({ length: SIGNAL_BURST + 50 }, (_, i) => controlPdu({ type: "weather", i }))),
    ],
  ];
  test.each(CASES)("%s", async (_what, kind, bytes) => {
    await using at = await scene();
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    peer.lane.send(bytes());
    await peer.lane.closed();
    expect(peer.lane.controls.at(-1)).toEqual({ type: "err", kind, message: "" });
    expect([...at.server.counters("mallory").frameErrors]).toEqual([[kind, 1]]);
    expect(at.server.logbook.find("frame_err")).toMatchObject([
      { client_cn: "mallory", kind, remote: peer.lane.local },
    ]);
    await until("it to be gone", () => peers(at).connections === 0);
    await expectIntact(at);
  });

  test("the same in one piece with its hello", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    const hello = controlPdu({ ...HELLO, kind: "control", session_id: crypto.randomUUID() });
    lane.send(concat([hello, dataPdu(utf8("data"))]));
    await lane.closed();
    expect(lane.controls.map(({ type }) => type)).toEqual(["hello_ack", "ping", "err"]);
    expect([...at.server.counters("mallory").frameErrors]).toEqual([["unexpected_data", 1]]);
    await expectIntact(at);
  });

  test("more than 50 messages a second, after a burst", async () => {
    await using at = await scene();
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    peer.lane.send(concat(Array.from({ length: SIGNAL_BURST + 100 }, (_, id) => controlPdu({ type: "ping", id }))));
    expect(await peer.heard("goodbye")).toEqual({ type: "goodbye", reason: "flood" });
    await peer.lane.closed();
    expect(peer.all("pong").length).toBeLessThan(SIGNAL_BURST + 50);
    expect(peers(at).counters.evicted.flood).toBe(1);
    await expectIntact(at);
  });

  test("a message that never ends, after 30 s", async () => {
    using time = drivenTime();
    await using at = await scene();
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    // Each whole message in between is a sign of life, but none of the one that has begun.
    peer.lane.send(concat([controlPdu({ type: "ping", id: 1 }), hex("5554 01 10 00 00000100 7b")]));
    await peer.heard("pong");
    for (let i = 0; i < 4; i++) {
      time.advance(7_000);
      peer.lane.send(hex("20"));
      for (let turns = 0; turns < 20; turns++) await turn();
    }
    expect(peer.lane.isClosed).toBe(false);
    time.advance(2_000);
    await peer.lane.closed();
    expect([...at.server.counters("mallory").frameErrors]).toEqual([["slow_pdu", 1]]);
    await expectIntact(at);
  });

  test("silence: nothing in 10 s after a ping", async () => {
    using time = drivenTime();
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello({ kind: "control" });
    await until("the ping", () => lane.controls.length === 2);
    time.advance(10_000);
    await lane.closed();
    expect(lane.controls.at(-1)).toEqual({ type: "goodbye", reason: "dead" });
    expect(at.server.logbook.find("control_close")).toMatchObject([{ client_cn: "mallory", reason: "dead" }]);
    await expectIntact(at);
  });
});

describe("somebody else's pipe", () => {
  test("is nothing to those who guess its numbers, on control connections and on lanes", async () => {
    await using at = await scene();
    using relay = await controlPeer({ port: at.server.port, identity: home });
    using agent = await controlPeer({ port: at.server.port, identity: office });
    const { near, far } = await openPipe(relay, agent);
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    // The session of another's name is one of one's own name.
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello({ session_id: relay.sessionId, caps: ["channel"] });
    for (const channel of [near, far]) {
      for (const signal of intrusions(channel)) peer.say(signal);
      lane.send(channelPdu(channel, utf8("forged")));
    }
    await peer.heard("punch_reject", 1);
    await until("the datagrams", () => at.server.counters("mallory").channels.up.drops.unknown === 2);
    expect(peer.all("punch_reject").map(({ reason }) => reason)).toEqual(["no-session", "no-session"]);
    expect(peers(at)).toMatchObject({ pipes: 1, counters: { opened: 1, dropped: { "unknown-channel": 14 } } });
    expect([...relay.all("p2p_close"), ...agent.all("p2p_close"), ...agent.all("candidates")]).toEqual([]);
    expect(at.server.session("office")).toBeUndefined();
    // It still carries what its ends say.
    relay.say({ type: "p2p_close", channel: near, reason: "done" });
    await agent.heard("p2p_close");
    await expectIntact(at);
  });

  test("is out of reach for the same process on the other end of it, too", async () => {
    await using at = await scene();
    using relay = await controlPeer({ port: at.server.port, identity: home });
    using agent = await controlPeer({ port: at.server.port, identity: office });
    const { far } = await openPipe(relay, agent);
    relay.say({ type: "p2p_close", channel: far, reason: "not mine" });
    await until("it to be counted", () => peers(at).counters.dropped["unknown-channel"] === 1);
    expect(peers(at).pipes).toBe(1);
    await expectIntact(at);
  });
});

function intrusions(channel: number): SignalInput[] {
  const peer = { nat: "open", filtering: null, reflex: null, caps: [] } as const;
  return [
    { type: "p2p_close", channel, reason: "mine" },
    { type: "p2p_accept", channel, answer: shapedOffer("forged") },
    { type: "p2p_reject", channel, reason: "mine" },
    { type: "candidates", channel, attempt: 1, candidates: [], last: true, peer: { ...peer, caps: [] } },
    { type: "punch_request", channel, attempt: 1, role: "nat4", reflex: "192.0.2.1:1" },
    { type: "punch_ack", channel, attempt: 1 },
    { type: "p2p_result", channel, winner: "ice", elapsed_ms: 1, cause: "" },
  ];
}

describe("who asks for pipes without end", () => {
  const open = (request_id: number, to: string): SignalInput => ({
    type: "open_p2p",
    request_id,
    to,
    service: "x",
    offer: shapedOffer("o".repeat(4_000)),
  });

  test("has so many under way and no more", async () => {
    await using at = await scene();
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    for (let id = 1; id <= 300; id++) peer.say(open(id, "nobody"));
    await peer.heard("p2p_failed", 300 - MAX_PENDING_OPENS - 1);
    expect(peers(at)).toMatchObject({ pendingOpens: MAX_PENDING_OPENS, pipes: 0 });
    expect(peers(at).counters.failed["too-many-pending"]).toBe(300 - MAX_PENDING_OPENS);
    // One line a second at most, not one for each.
    expect(at.server.logbook.find("pipe_fail").length).toBeLessThan(10);
    // The process goes, and nothing of it is left.
    peer[Symbol.dispose]();
    await until("it to be gone", () => peers(at).connections === 0);
    expect(peers(at)).toMatchObject({ pendingOpens: 0, members: [] });
    await expectIntact(at);
  });

  test("may ask a willing target so often in ten seconds", async () => {
    await using at = await scene();
    using agent = await controlPeer({ port: at.server.port, identity: office });
    agent.say({ type: "register", node: "" });
    await agent.heard("registered");
    using peer = await controlPeer({ port: at.server.port, identity: mallory });
    for (let id = 1; id <= OPENS_PER_WINDOW; id++) {
      peer.say(open(id, "office"));
      const { channel } = await agent.heard("p2p_incoming", id - 1);
      agent.say({ type: "p2p_accept", channel: Number(channel), answer: shapedOffer("answer") });
      const opened = await peer.heard("p2p_opened", id - 1);
      peer.say({ type: "p2p_close", channel: Number(opened.channel), reason: "" });
    }
    peer.say(open(99, "office"));
    expect(await peer.heard("p2p_failed")).toMatchObject({ request_id: 99, reason: "rate-limited" });
    expect(peers(at).pipes).toBe(0);
    await expectIntact(at);
  });

  test("over a thousand opens and closes leave nothing behind", async () => {
    using time = drivenTime();
    await using at = await scene();
    using agent = await controlPeer({ port: at.server.port, identity: office });
    agent.say({ type: "register", node: "" });
    await agent.heard("registered");
    const names = await Promise.all(Array.from({ length: 20 }, (_, i) => identity({ cn: `peer-${i}` })));
    let done = 0;
    const round = async (count: number) => {
      for (const who of names) {
        using peer = await controlPeer({ port: at.server.port, identity: who });
        for (let id = 1; id <= count; id++) {
          peer.say(open(id, "office"));
          const { channel } = await agent.heard("p2p_incoming", done++);
          agent.say({ type: "p2p_accept", channel: Number(channel), answer: shapedOffer("answer") });
          const opened = await peer.heard("p2p_opened", id - 1);
          peer.say({ type: "p2p_close", channel: Number(opened.channel), reason: "" });
          // The agent says as much as all of them together, and may say 50 things a second.
          time.advance(20);
        }
      }
    };
    await round(1);
    const early = residentBytes();
    await round(50);
    await until("the last one to be gone", () => peers(at).connections === 1 && peers(at).pipes === 0);
    const late = residentBytes();
    expect(peers(at).counters.opened).toBe(1_020);
    expect(peers(at).members.map(({ cn }) => cn)).toEqual(["office"]);
    expect(at.server.role.status().sessions.map(({ clientCn }) => clientCn)).toEqual(["bystander"]);
    expect((late - early) / 2 ** 20).toBeLessThan(64);
    await expectIntact(at);
  }, 30_000);
});

test("a flood of connections costs the flooder its own: eight of a CN at a time, the silent ones go", async () => {
  await using at = await scene();
  const all: ControlPeer[] = [];
  for (let i = 0; i < 20; i++) all.push(await controlPeer({ port: at.server.port, identity: mallory }));
  await until("twelve to be closed", () => all.filter(({ lane }) => lane.isClosed).length === 12);
  expect(peers(at)).toMatchObject({ connections: 8, counters: { evicted: { "too-many": 12 } } });
  for (const peer of all) peer[Symbol.dispose]();
  await until("all to be gone", () => peers(at).connections === 0);
  // One line a second at most, not one for each.
  expect(at.server.logbook.find("control_open").length).toBeLessThan(10);
  expect(at.server.logbook.find("control_close").length).toBeLessThan(10);
  await expectIntact(at);
});

test("one that does not read what it asks for is sent no more than its socket takes", async () => {
  await using at = await scene();
  using lane = await rawLane({ port: at.server.port, identity: mallory, paused: true });
  const early = residentBytes();
  lane.hello({ kind: "control" });
  // 64 answers each.
  const channels = Array.from({ length: MAX_CHANNELS }, (_, i) => 0xff00_0000 + i);
  for (let i = 0; i < SIGNAL_BURST - 50; i++) lane.send(controlPdu({ type: "resume", channels }));
  await until(
    "all of them to be heard",
    () => peers(at).counters.signals === SIGNAL_BURST - 50 || peers(at).connections === 0,
  );
  expect((residentBytes() - early) / 2 ** 20).toBeLessThan(64);
  await expectIntact(at);
});
