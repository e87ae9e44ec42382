import { describe, expect, test } from "bun:test";
import {
  ANSWER_WAIT_MS,
  MAX_CHANNELS,
  MAX_PENDING_OPENS,
  MAX_PIPES_PER_PAIR,
  OPENS_PER_WINDOW,
  TARGET_WAIT_MS,
} from "../../../../src/core/signal/limits.ts";
import type { SignalInput } from "../../../../src/core/wire/signal.ts";
import { ANSWER, attendee, channelIn, HubBench, OFFER, outline, UNKNOWN } from "./hub-bench.ts";

const open = (request_id: number, to = "office"): SignalInput => ({
  type: "open_p2p",
  request_id,
  to,
  service: "wireguard",
  offer: OFFER,
});
const register: SignalInput = { type: "register", node: "ut 1" };
const failed = (request_id: number, reason: string, by: "server" | "target" = "server"): SignalInput => ({
  type: "p2p_failed",
  request_id,
  reason,
  by,
});

/** `home` 40 ms and `office` 100 ms away, the latter registered. */
function pair(): HubBench {
  const bench = new HubBench();
  bench.connect("home", 40);
  bench.connect("office", 100);
  bench.say("office", register);
  bench.pass(1_000);
  return bench;
}

describe("a pipe is opened", () => {
  test("the whole conversation, and what the shell hears of it", () => {
    const bench = pair();
    bench.say("home", { type: "peer_info", info: { nat: "cone", filtering: null, reflex: null, caps: ["x"] } });

    const offered = bench.say("home", open(7));
    const theirs = channelIn(offered, "p2p_incoming");
    const peer = { nat: "cone", filtering: null, reflex: null, caps: ["x"] };
    expect(offered).toEqual({
      said: [
        [
          "office",
          {
            type: "p2p_incoming",
            channel: theirs,
            from: "home",
            service: "wireguard",
            offer: OFFER,
            peer,
          } as SignalInput,
        ],
      ],
      events: [],
    });

    const accepted = bench.say("office", { type: "p2p_accept", channel: theirs, answer: ANSWER });
    const ours = channelIn(accepted, "p2p_opened");
    const told = { type: "p2p_opened" as const, peer: UNKNOWN, rtt_ms: 40, peer_rtt_ms: 100 };
    expect(accepted).toEqual({
      said: [
        ["home", { ...told, channel: ours, request_id: 7, answer: ANSWER }],
        ["office", { ...told, channel: theirs, peer, rtt_ms: 100, peer_rtt_ms: 40 } as SignalInput],
      ],
      events: [
        {
          type: "opened",
          ends: [
            { ...attendee("home"), channel: ours },
            { ...attendee("office"), channel: theirs },
          ],
          service: "wireguard",
        },
      ],
    });
    expect(ours).not.toBe(theirs);
    expect([bench.hub.pipes, bench.hub.pendingOpens]).toEqual([1, 0]);
  });

  test("and closed by one end: the other is told, and the shell", () => {
    const bench = pair();
    const { ours, theirs } = bench.openPipe("home", "office");
    expect(bench.say("home", { type: "p2p_close", channel: ours, reason: "idle" })).toEqual({
      said: [["office", { type: "p2p_close", channel: theirs, reason: "idle" }]],
      events: [
        {
          type: "closed",
          ends: [
            { ...attendee("home"), channel: ours },
            { ...attendee("office"), channel: theirs },
          ],
          reason: "idle",
        },
      ],
    });
    expect(bench.hub.pipes).toBe(0);
    expect(bench.say("home", { type: "p2p_close", channel: ours, reason: "idle" })).toEqual({ said: [], events: [] });
    expect(bench.hub.counters.dropped["unknown-channel"]).toBe(1);
  });

  test("refused in the target's words", () => {
    const bench = pair();
    const channel = channelIn(bench.say("home", open(1)), "p2p_incoming");
    expect(bench.say("office", { type: "p2p_reject", channel, reason: "not-authorised" })).toEqual({
      said: [["home", failed(1, "not-authorised", "target")]],
      events: [{ type: "failed", from: "home", to: "office", reason: "not-authorised", by: "target" }],
    });
    expect([bench.hub.pipes, bench.hub.counters.failed.rejected]).toEqual([0, 1]);
  });

  test("a target that says nothing has ten seconds", () => {
    const bench = pair();
    const channel = channelIn(bench.say("home", open(1)), "p2p_incoming");
    expect(outline(bench.pass(ANSWER_WAIT_MS - 1))).toEqual([]);
    expect(bench.pass(1).said).toEqual([
      ["office", { type: "p2p_close", channel, reason: "no-answer" }],
      ["home", failed(1, "no-answer")],
    ]);
    // Too late: the number means nothing any more.
    expect(outline(bench.say("office", { type: "p2p_accept", channel, answer: ANSWER }))).toEqual([]);
    expect(bench.hub.pipes).toBe(0);
  });
});

describe("a target that is not there yet", () => {
  test("has ten seconds to register, and is then asked at once", () => {
    const bench = new HubBench();
    bench.connect("home");
    expect(bench.say("home", open(1)).said).toEqual([]);
    bench.pass(TARGET_WAIT_MS - 1);
    bench.connect("office");
    expect(outline(bench.say("office", register))).toEqual(["office: registered", "office: p2p_incoming"]);
    expect(bench.pass(ANSWER_WAIT_MS).said.at(-1)).toEqual(["home", failed(1, "no-answer")]);
  });

  test("is given up after them, without a trace", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.say("home", open(1));
    expect(bench.pass(TARGET_WAIT_MS - 1)).toEqual({ said: [], events: [] });
    expect(bench.pass(1)).toEqual({
      said: [["home", failed(1, "peer-not-reachable")]],
      events: [{ type: "failed", from: "home", to: "office", reason: "peer-not-reachable", by: "server" }],
    });
    expect(bench.hub.pendingOpens).toBe(0);
  });

  test("a connection alone is not enough: it has to register", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.connect("office");
    expect(outline(bench.say("home", open(1)))).toEqual([]);
  });

  test("its asker goes away meanwhile: it is not asked any more", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.say("home", open(1));
    bench.disconnect("home");
    bench.connect("office");
    expect(outline(bench.say("office", register))).toEqual(["office: registered"]);
    expect(bench.hub.pendingOpens).toBe(0);
  });
});

describe("an end goes while a pipe is being opened", () => {
  test("the asker: the target is told, its answer finds nothing", () => {
    const bench = pair();
    const channel = channelIn(bench.say("home", open(1)), "p2p_incoming");
    expect(bench.disconnect("home").said).toEqual([["office", { type: "p2p_close", channel, reason: "peer-gone" }]]);
    expect(bench.say("office", { type: "p2p_accept", channel, answer: ANSWER })).toEqual({ said: [], events: [] });
    expect(bench.hub.pipes).toBe(0);
  });

  test("the target: the request has failed", () => {
    const bench = pair();
    bench.say("home", open(1));
    expect(bench.disconnect("office").said).toEqual([["home", failed(1, "peer-not-reachable")]]);
    expect(bench.hub.pipes).toBe(0);
  });
});

describe("nobody asks without bounds", () => {
  test("of one CN eight requests wait, however many processes it has", () => {
    const bench = new HubBench();
    bench.connect("home/1");
    bench.connect("home/2");
    for (let i = 1; i <= MAX_PENDING_OPENS; i++) expect(bench.say(`home/${1 + (i % 2)}`, open(i)).said).toEqual([]);
    expect(bench.say("home/1", open(99)).said).toEqual([["home/1", failed(99, "too-many-pending")]]);
    expect(outline(bench.pass(TARGET_WAIT_MS)).length).toBe(MAX_PENDING_OPENS);
    expect(bench.say("home/1", open(100)).said).toEqual([]);
  });

  test("a number that is under way is not taken twice", () => {
    const bench = new HubBench();
    bench.connect("home");
    bench.say("home", open(1), open(1));
    expect([bench.hub.pendingOpens, bench.hub.counters.dropped.unexpected]).toEqual([1, 1]);
    expect(outline(bench.pass(TARGET_WAIT_MS))).toEqual(["home: p2p_failed"]);
  });

  test(`${OPENS_PER_WINDOW} requests in any ten seconds, and a new connection does not start afresh`, () => {
    const bench = pair();
    for (let i = 1; i <= OPENS_PER_WINDOW; i++) {
      const channel = channelIn(bench.say("home", open(i)), "p2p_incoming");
      bench.say("office", { type: "p2p_reject", channel, reason: "no" });
    }
    bench.disconnect("home");
    bench.connect("home");
    expect(bench.say("home", open(99)).said).toEqual([["home", failed(99, "rate-limited")]]);
    bench.pass(10_000);
    expect(outline(bench.say("home", open(100)))).toEqual(["office: p2p_incoming"]);
  });

  test(`between two CNs ${MAX_PIPES_PER_PAIR} pipes, of one target ${MAX_CHANNELS}`, () => {
    const bench = pair();
    for (let i = 1; i <= MAX_PIPES_PER_PAIR; i++) bench.openPipe("home", "office", i);
    expect(bench.say("home", open(99)).said).toEqual([["home", failed(99, "target-busy")]]);
    for (const name of ["b", "c", "d"]) {
      bench.connect(name);
      for (let i = 1; i <= MAX_PIPES_PER_PAIR; i++) bench.openPipe(name, "office", i);
    }
    bench.connect("e");
    expect(bench.say("e", open(1)).said).toEqual([["e", failed(1, "target-busy")]]);
    expect(bench.hub.pipes).toBe(MAX_CHANNELS);
  });

  test("not oneself", () => {
    const bench = pair();
    expect(bench.say("office", open(1)).said).toEqual([["office", failed(1, "self")]]);
  });

  test("an offer or an answer that fits no message with what is added to it", () => {
    const bench = pair();
    // As JSON a zero is six characters.
    const caps = Array.from({ length: 32 }, () => "\0".repeat(32));
    bench.say("home", { type: "peer_info", info: { ...UNKNOWN, caps } });
    const large = { body: "b".repeat(4_096), certificate: "c".repeat(6_144), signature: "s" };
    const request = { ...open(1), offer: large } as SignalInput;
    expect(bench.say("home", request).said).toEqual([["home", failed(1, "too-large")]]);

    bench.say("home", { type: "peer_info", info: UNKNOWN });
    bench.say("office", { type: "peer_info", info: { ...UNKNOWN, caps } });
    const channel = channelIn(bench.say("home", open(2)), "p2p_incoming");
    expect(bench.say("office", { type: "p2p_accept", channel, answer: large }).said).toEqual([
      ["office", { type: "p2p_close", channel, reason: "too-large" }],
      ["home", failed(2, "too-large")],
    ]);
    expect(bench.hub.pipes).toBe(0);
  });
});

test("an offered pipe is its target's to answer, and nobody else's", () => {
  const bench = pair();
  bench.connect("eve");
  const channel = channelIn(bench.say("home", open(1)), "p2p_incoming");
  for (const thief of ["eve", "home"])
    expect(
      bench.say(
        thief,
        { type: "p2p_accept", channel, answer: ANSWER },
        { type: "p2p_reject", channel, reason: "" },
        { type: "p2p_close", channel, reason: "" },
      ),
    ).toEqual({ said: [], events: [] });
  expect(bench.hub.counters.dropped["unknown-channel"]).toBe(6);
  expect(outline(bench.say("office", { type: "p2p_accept", channel, answer: ANSWER }))).toEqual([
    "home: p2p_opened",
    "office: p2p_opened",
  ]);
  // A second answer changes nothing.
  expect(bench.say("office", { type: "p2p_accept", channel, answer: ANSWER })).toEqual({ said: [], events: [] });
});
