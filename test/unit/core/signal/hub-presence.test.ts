import { describe, expect, test } from "bun:test";
import { DEAD_AFTER_MS, PING_EVERY_MS } from "../../../../src/core/signal/heartbeat.ts";
import {
  MAX_UNREAD,
  RECONNECT_GRACE_MS,
  REPLACED_WAIT_MS,
  SESSIONS_PER_CN,
  SIGNAL_BURST,
  SIGNALS_PER_SECOND,
} from "../../../../src/core/signal/limits.ts";
import type { SignalInput } from "../../../../src/core/wire/signal.ts";
import { attendee, HubBench, OFFER, outline, STUN_PORT, UNKNOWN } from "./hub-bench.ts";

const register: SignalInput = { type: "register", node: "ut 1" };
const open = (request_id: number): SignalInput => ({
  type: "open_p2p",
  request_id,
  to: "office",
  service: "s",
  offer: OFFER,
});

function pair(): HubBench & { readonly channels: { ours: number; theirs: number } } {
  const bench = new HubBench();
  bench.connect("home");
  bench.connect("office/1");
  bench.say("office/1", register);
  return Object.assign(bench, { channels: bench.openPipe("home", "office/1") });
}

describe("registration", () => {
  test("is told to whoever asks for the CN", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.connect("office");
    const ask = () => bench.say("home", { type: "find_peer", to: "office" }).said;
    const answer = (registered: boolean) => [["home", { type: "found_peer", to: "office", registered }]];
    expect(ask()).toEqual(answer(false) as never);
    bench.say("office", register);
    expect(ask()).toEqual(answer(true) as never);
    bench.disconnect("office");
    expect(ask()).toEqual(answer(false) as never);
  });

  test("is confirmed, told to the shell once, and lasts as long as the pings", () => {
    const bench = new HubBench();
    bench.connect("office");
    const registered: SignalInput = { type: "registered", lease_ms: PING_EVERY_MS + DEAD_AFTER_MS };
    expect(bench.say("office", register)).toEqual({
      said: [["office", registered]],
      events: [{ type: "registered", attendee: attendee("office"), node: "ut 1" }],
    });
    expect(bench.say("office", register)).toEqual({ said: [["office", registered]], events: [] });
  });

  test("the latest one wins: the other is evicted and its pipes as a target close, so that they find the new one", () => {
    const bench = pair();
    bench.connect("office/2");
    const { ours, theirs } = bench.channels;
    expect(bench.say("office/2", register)).toEqual({
      said: [
        ["home", { type: "p2p_close", channel: ours, reason: "replaced" }],
        ["office/2", { type: "registered", lease_ms: 35_000 }],
      ],
      events: [
        { type: "evict", id: bench.id("office/1"), attendee: attendee("office/1"), reason: "replaced" },
        {
          type: "closed",
          ends: [
            { ...attendee("home"), channel: ours },
            { ...attendee("office/1"), channel: theirs },
          ],
          reason: "replaced",
        },
        { type: "registered", attendee: attendee("office/2"), node: "ut 1" },
      ],
    });
    expect(bench.say("home", open(2)).said.map(([to]) => to)).toEqual(["office/2"]);
    // What the evicted one still says is not heard.
    expect(bench.say("office/1", register)).toEqual({ said: [], events: [] });
  });

  test("the evicted one is back after its minute and takes over in turn; what it had opened itself is still there", () => {
    const bench = pair();
    bench.say("home", { type: "register", node: "" });
    const back = bench.openPipe("office/1", "home", 5);
    bench.connect("office/2");
    bench.say("office/2", register);
    bench.pass(REPLACED_WAIT_MS);
    bench.connect("office/1");
    expect(bench.say("office/1", { type: "resume", channels: [back.ours] })).toEqual({ said: [], events: [] });
    expect(bench.say("office/1", register).events.map(({ type }) => type)).toEqual(["evict", "registered"]);
    expect(bench.say("home", open(2)).said.map(([to]) => to)).toEqual(["office/1"]);
  });

  test("a process that started again takes over from the one that hung up before it", () => {
    const bench = pair();
    bench.disconnect("office/1");
    bench.connect("office/2");
    expect(outline(bench.say("office/2", register))).toEqual(["home: p2p_close", "office/2: registered"]);
    expect(bench.hub.members.map(({ sessionId }) => sessionId)).toEqual(["home", "office/2"]);
  });
});

describe("a control connection is lost", () => {
  test("its pipes wait 90 s for the same session, and nobody is told anything", () => {
    const bench = pair();
    expect(bench.disconnect("office/1")).toEqual({ said: [], events: [] });
    expect(bench.pass(RECONNECT_GRACE_MS - 1)).toEqual({ said: [], events: [] });
    bench.connect("office/1");
    const { ours, theirs } = bench.channels;
    expect(bench.say("office/1", { type: "resume", channels: [theirs] })).toEqual({ said: [], events: [] });
    bench.pass(RECONNECT_GRACE_MS * 2);
    expect(outline(bench.say("home", { type: "p2p_close", channel: ours, reason: "" }))).toEqual([
      "office/1: p2p_close",
    ]);
  });

  test("after them they close", () => {
    const bench = pair();
    bench.disconnect("office/1");
    bench.pass(RECONNECT_GRACE_MS - 1);
    const { ours } = bench.channels;
    const heard = bench.pass(1);
    expect(heard.said).toEqual([["home", { type: "p2p_close", channel: ours, reason: "peer-gone" }]]);
    expect(heard.events.map(({ type }) => type)).toEqual(["closed"]);
    expect([bench.hub.pipes, bench.hub.members.length]).toEqual([0, 1]);
  });

  test("with resume both know the same pipes: what it does not name closes, what is named in vain is unknown", () => {
    const bench = pair();
    const second = bench.openPipe("home", "office/1", 2);
    bench.disconnect("office/1");
    bench.connect("office/1");
    expect(
      bench.say("office/1", { type: "resume", channels: [second.theirs, 12_345, bench.channels.ours] }).said,
    ).toEqual([
      ["home", { type: "p2p_close", channel: bench.channels.ours, reason: "not-resumed" }],
      ["office/1", { type: "p2p_close", channel: 12_345, reason: "unknown-channel" }],
      ["office/1", { type: "p2p_close", channel: bench.channels.ours, reason: "unknown-channel" }],
    ]);
    expect(bench.hub.pipes).toBe(1);
  });

  test("not by this end: a new one of the same process ends the old one, which is not asked to stay away", () => {
    const bench = pair();
    const old = bench.id("office/1");
    const { events } = bench.connect("office/1");
    expect(events).toEqual([{ type: "evict", id: old, attendee: attendee("office/1"), reason: "reconnected" }]);
    expect(bench.hub.pipes).toBe(1);
    bench.hub.disconnected(bench.now, old);
    expect(bench.hub.members.find(({ sessionId }) => sessionId === "office/1")?.isConnected).toBe(true);
  });

  test("of a process without pipes nothing stays", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.disconnect("home");
    expect([bench.hub.members, bench.hub.connections]).toEqual([[], 0]);
    bench.pass(PING_EVERY_MS * 2);
    expect(bench.hub.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("presence", () => {
  test("pings at once and every 25 s; who says nothing for ten seconds is gone", () => {
    const bench = new HubBench();
    bench.connect("alive", 30);
    bench.connect("silent", "silent");
    expect(bench.pass(DEAD_AFTER_MS - 1).events).toEqual([]);
    expect(bench.pass(1).events).toEqual([
      { type: "evict", id: bench.id("silent"), attendee: attendee("silent"), reason: "dead" },
    ]);
    expect(bench.pass(600_000).events).toEqual([]);
    expect(bench.hub.members).toEqual([
      {
        ...attendee("alive"),
        isConnected: true,
        isRegistered: false,
        rttMs: 30,
        nat: "unknown",
        pipes: 0,
      },
    ]);
  });

  test("whatever is said is a sign of life, but only the pong to our ping tells the distance", () => {
    const bench = new HubBench();
    bench.connect("odd", "silent");
    for (let i = 0; i < 10; i++) {
      expect(bench.pass(DEAD_AFTER_MS - 1).events).toEqual([]);
      bench.say("odd", { type: "pong", id: i });
    }
    expect(bench.hub.members[0]?.rttMs).toBeNull();
  });

  test("their pings are answered", () => {
    const bench = new HubBench();
    bench.connect("home");
    expect(bench.say("home", { type: "ping", id: 5 }).said).toEqual([["home", { type: "pong", id: 5 }]]);
  });
});

describe("nobody grows without bound", () => {
  test("of one CN eight sessions: one that was lost makes room first, else the one that was silent longest", () => {
    const bench = pair();
    bench.disconnect("home");
    for (let i = 1; i < SESSIONS_PER_CN; i++) bench.connect(`home/${i}`);
    bench.pass(1);
    expect(bench.connect("home/8")).toMatchObject({
      said: [
        ["office/1", { type: "p2p_close", reason: "peer-gone" }],
        ["home/8", { type: "stun_credential" }],
      ],
      events: [{ type: "closed", reason: "peer-gone" }],
    });
    bench.say("home/1", { type: "peer_info", info: UNKNOWN });
    bench.pass(1);
    const { events } = bench.connect("home/9");
    expect(events).toEqual([
      { type: "evict", id: bench.id("home/2"), attendee: attendee("home/2"), reason: "too-many" },
    ]);
    expect(bench.hub.members.filter(({ cn }) => cn === "home").length).toBe(SESSIONS_PER_CN);
  });

  test("who does not read is evicted once 256 messages wait, and gets none of them", () => {
    const bench = new HubBench();
    bench.connect("home", "silent");
    bench.hub.setWritable(bench.id("home"), false);
    for (let i = 0; i < MAX_UNREAD; i++) {
      expect(bench.say("home", { type: "ping", id: i })).toEqual({ said: [], events: [] });
      bench.now += 25;
    }
    expect(bench.say("home", { type: "ping", id: 0 })).toEqual({
      said: [],
      events: [{ type: "evict", id: bench.id("home"), attendee: attendee("home"), reason: "slow-reader" }],
    });
  });

  test("who reads again gets all of it, in order", () => {
    const bench = new HubBench();
    bench.connect("home", "silent");
    bench.hub.setWritable(bench.id("home"), false);
    for (let id = 0; id < 3; id++) bench.say("home", { type: "ping", id });
    bench.hub.setWritable(bench.id("home"), true);
    expect(bench.heard().said).toEqual([0, 1, 2].map((id) => ["home", { type: "pong", id }]));
  });

  test("nobody fills the room of another: offers for one that does not read fail, candidates are dropped", () => {
    const bench = pair();
    bench.hub.setWritable(bench.id("office/1"), false);
    for (let attempt = 0; attempt < MAX_UNREAD * 2; attempt++) {
      const candidates: SignalInput = {
        type: "candidates",
        channel: bench.channels.ours,
        attempt,
        candidates: [],
        last: false,
        peer: UNKNOWN,
      };
      expect(bench.say("home", candidates).events).toEqual([]);
      bench.now += 25;
    }
    expect(bench.hub.counters.dropped.absent).toBe(MAX_UNREAD * 2 - MAX_UNREAD / 2);
    expect(bench.say("home", open(2)).said).toMatchObject([["home", { type: "p2p_failed", reason: "target-busy" }]]);
    expect(bench.hub.members.every(({ isConnected }) => isConnected)).toBe(true);
  });

  test("50 signals a second over time, what ten seconds held back at once, and nothing beyond", () => {
    const bench = new HubBench();
    bench.connect("home", "silent");
    const word: SignalInput = { type: "pong", id: 0 };
    for (let i = 0; i < SIGNAL_BURST; i++) expect(bench.say("home", word).events).toEqual([]);
    for (let i = 0; i < SIGNALS_PER_SECOND; i++) {
      bench.now += 1_000 / SIGNALS_PER_SECOND;
      expect(bench.say("home", word).events).toEqual([]);
    }
    expect(bench.say("home", word).events).toEqual([
      { type: "evict", id: bench.id("home"), attendee: attendee("home"), reason: "flood" },
    ]);
    expect(bench.hub.counters.evicted.flood).toBe(1);
  });

  test("lanes are asked for once a second, of who is there", () => {
    const bench = new HubBench();
    bench.connect("home");
    const ask = (name: string, packets: number) => {
      bench.hub.lanesWanted(bench.now, attendee(name), packets);
      return bench.heard().said;
    };
    expect(ask("nobody", 1)).toEqual([]);
    expect(ask("home", 1)).toEqual([["home", { type: "lanes_wanted", packets: 1 }]]);
    expect(ask("home", 2)).toEqual([]);
    bench.pass(1_000);
    expect(ask("home", 3)).toEqual([["home", { type: "lanes_wanted", packets: 3 }]]);
  });
});

describe("STUN credentials", () => {
  test("each connection has one of its own, which ends with it", () => {
    const bench = new HubBench();
    const { said } = bench.connect("home");
    const first = bench.credential("home");
    expect(said).toEqual([["home", { type: "stun_credential", ...first, port: STUN_PORT }]]);
    expect(first.username).toMatch(/^[0-9a-f]{32}$/);
    expect(bench.hub.stunPassword(first.username)).toBe(first.password);
    bench.disconnect("home");
    expect(bench.hub.stunPassword(first.username)).toBeUndefined();
    bench.connect("home");
    expect(bench.credential("home").username).not.toBe(first.username);
    expect(bench.credential("home").password).not.toBe(first.password);
  });
});

test("a result is told to the shell, eight in ten seconds of one CN", () => {
  const bench = pair();
  const said: SignalInput = {
    type: "p2p_result",
    channel: bench.channels.ours,
    winner: "ice",
    elapsed_ms: 81.5,
    cause: "",
  };
  expect(bench.say("home", said)).toEqual({
    said: [],
    events: [{ type: "result", from: "home", peer: "office", winner: "ice", elapsedMs: 81.5, cause: "" }],
  });
  const more = Array.from({ length: 9 }, () => bench.say("home", said).events.length);
  expect(more).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0]);
  expect(bench.hub.counters.dropped.rate).toBe(2);
});

test("what only the server says is counted and no more", () => {
  const bench = pair();
  bench.say("home", { type: "registered", lease_ms: 1 }, { type: "lanes_wanted", packets: 1 });
  expect(bench.hub.counters.dropped.unexpected).toBe(2);
});
