import { describe, expect, test } from "bun:test";
import { SignalClient } from "../../../../src/core/signal/client.ts";
import type { SignalClientEvent } from "../../../../src/core/signal/client-event.ts";
import { UNANSWERED_MS } from "../../../../src/core/signal/client-requests.ts";
import { DEAD_AFTER_MS, PING_EVERY_MS } from "../../../../src/core/signal/heartbeat.ts";
import {
  MAX_CHANNELS,
  MAX_START_DELAY_MS,
  SIGNAL_BURST,
  SIGNALS_PER_SECOND,
} from "../../../../src/core/signal/limits.ts";
import { TokenBucket } from "../../../../src/core/signal/rate.ts";
import { decodeSignal, encodeSignal, type PeerInfo, type SignalInput } from "../../../../src/core/wire/signal.ts";
import { Random } from "../../../random.ts";
import { ANSWER, HOST, OFFER, UNKNOWN } from "./hub-bench.ts";

const SEEN = { address: "198.51.100.2", port: 5_000 };
const CONE: PeerInfo = { nat: "cone", filtering: null, reflex: SEEN, caps: [] };
const opened = (channel: number, request_id: number): SignalInput => ({
  type: "p2p_opened",
  channel,
  request_id,
  answer: ANSWER,
  peer: UNKNOWN,
  rtt_ms: 1,
  peer_rtt_ms: null,
});
const incoming = (channel: number): SignalInput => ({
  type: "p2p_incoming",
  channel,
  from: "home",
  service: "echo",
  offer: OFFER,
  peer: UNKNOWN,
});

/** A client whose server is the test. */
class Bench {
  readonly client: SignalClient;
  now = 0;

  constructor(isTarget = false) {
    const random = new Random(1);
    this.client = new SignalClient({ random: (length) => random.bytes(length), node: "ut 1", isTarget });
  }

  /** What it says, without pings. */
  said(): SignalInput[] {
    const said: SignalInput[] = [];
    for (let next = this.client.pollMessage(); next !== undefined; next = this.client.pollMessage())
      if (next.type !== "ping") said.push(next);
    return said;
  }

  told(): SignalClientEvent[] {
    const told: SignalClientEvent[] = [];
    for (let next = this.client.pollEvent(); next !== undefined; next = this.client.pollEvent()) told.push(next);
    return told;
  }

  hear(...signals: SignalInput[]): SignalClientEvent[] {
    for (const signal of signals) {
      const decoded = decodeSignal(encodeSignal(signal));
      if (decoded.ok) this.client.received(this.now, decoded.signal);
    }
    return this.told();
  }

  /** With a pipe of each number, open. */
  withPipes(...channels: number[]): this {
    this.client.connected(this.now);
    for (const channel of channels) {
      const id = this.client.open(this.now, "office", "echo", OFFER);
      this.hear(opened(channel, id));
    }
    this.said();
    return this;
  }
}

describe("a new connection", () => {
  test("begins with the pipes that are still there, then who it is and what it knows", () => {
    const bench = new Bench(true);
    bench.client.setPeerInfo(0, CONE);
    expect([bench.client.isConnected, bench.said()]).toEqual([false, []]);
    bench.client.connected(0);
    const info = { ...CONE, reflex: "198.51.100.2:5000" } as const;
    const greeting = (channels: number[]) => [
      { type: "resume", channels },
      { type: "register", node: "ut 1" },
      { type: "peer_info", info },
    ];
    expect(bench.said()).toEqual(greeting([]) as never);
    bench.withPipes(5, 6);
    bench.client.disconnected(1);
    bench.client.connected(2);
    expect(bench.said()).toEqual(greeting([5, 6]) as never);
  });

  test("of who offers nothing there is no registration", () => {
    const bench = new Bench();
    bench.client.connected(0);
    expect(bench.said()).toEqual([{ type: "resume", channels: [] }]);
  });

  test("what changed is told once, and only the newest of it", () => {
    const bench = new Bench();
    bench.client.connected(0);
    bench.said();
    bench.client.setPeerInfo(0, UNKNOWN as PeerInfo);
    bench.client.setPeerInfo(0, { ...CONE, reflex: null });
    bench.client.setPeerInfo(0, { ...CONE, reflex: null });
    expect(bench.said()).toEqual([{ type: "peer_info", info: { ...CONE, reflex: null } }]);
    bench.client.setPeerInfo(0, { ...CONE, reflex: null });
    expect(bench.said()).toEqual([]);
  });
});

test("it pings at once and every 25 s, answers pings, and gives a silent server up after ten", () => {
  const { client } = new Bench();
  client.connected(0);
  const ping = client.pollMessage();
  expect([ping?.type, client.pollMessage()?.type, client.pollMessage()]).toEqual(["ping", "resume", undefined]);
  client.received(30, { type: "pong", id: ping?.type === "ping" ? ping.id : 0 });
  expect(client.rttMs).toBe(30);
  expect(client.nextTimeout()).toBe(PING_EVERY_MS);
  client.received(40, { type: "ping", id: 1 });
  client.received(40, { type: "ping", id: 2 });
  expect([client.pollMessage(), client.pollMessage()]).toEqual([{ type: "pong", id: 2 }, undefined]);
  client.handleTimeout(PING_EVERY_MS);
  client.handleTimeout(PING_EVERY_MS + DEAD_AFTER_MS - 1);
  expect(client.pollEvent()).toBeUndefined();
  client.handleTimeout(PING_EVERY_MS + DEAD_AFTER_MS);
  expect([client.pollEvent(), client.isConnected, client.rttMs]).toEqual([{ type: "lost" }, false, null]);
});

test("it never says more than the server takes, even when seven seconds of it arrive at once", () => {
  const bench = new Bench().withPipes(1);
  const times: number[] = [];
  for (let i = 0; i < 400; i++) bench.client.acknowledgePunch(1, i);
  while (times.length < 1_000) {
    bench.client.acknowledgePunch(1, 0);
    times.push(...bench.said().map(() => bench.now));
    bench.now = bench.client.nextTimeout();
    bench.hear({ type: "pong", id: 0 });
  }
  for (const heldUntil of [0, 7_000, 12_000]) {
    const server = new TokenBucket(0, SIGNALS_PER_SECOND, SIGNAL_BURST);
    const arrivals = times.map((at) => (at >= heldUntil - 7_000 ? Math.max(at, heldUntil) : at));
    expect(arrivals.filter((at) => !server.take(at))).toEqual([]);
  }
});

describe("a server that lies", () => {
  test("opens nothing that was not asked for, nor twice, nor without an answer", () => {
    const bench = new Bench();
    bench.client.connected(0);
    expect(bench.hear(opened(1, 7))).toEqual([]);
    const id = bench.client.open(0, "office", "echo", OFFER);
    expect(bench.hear({ ...opened(1, id), answer: undefined } as SignalInput)).toEqual([]);
    expect(bench.hear(opened(1, id), opened(2, id)).map(({ type }) => type)).toEqual(["opened"]);
    // A channel is one pipe's.
    const second = bench.client.open(0, "office", "echo", OFFER);
    expect(bench.hear(opened(1, second))).toEqual([]);
    expect(bench.client.dropped).toEqual({ unexpected: 2, unknownChannel: 0, unknownRequest: 2 });
  });

  test("an acceptance needs an offer that was accepted", () => {
    const bench = new Bench(true);
    bench.client.connected(0);
    const accepted = (channel: number): SignalInput =>
      ({ ...opened(channel, 1), request_id: undefined }) as SignalInput;
    expect(bench.hear(accepted(3))).toEqual([]);
    expect(bench.hear(incoming(3), accepted(3)).map(({ type }) => type)).toEqual(["incoming"]);
    expect([bench.client.accept(3, ANSWER), bench.client.accept(3, ANSWER)]).toEqual([true, false]);
    expect(bench.hear(incoming(3), accepted(3), accepted(3)).map(({ type }) => type)).toEqual(["accepted"]);
  });

  test("says nothing of other channels", () => {
    const bench = new Bench().withPipes(1);
    const channel = 2;
    const others: SignalInput[] = [
      { type: "p2p_close", channel, reason: "" },
      { type: "candidates", channel, attempt: 0, candidates: [HOST], last: true, peer: UNKNOWN },
      { type: "start_punching", channel, attempt: 0, delay_ms: 0 },
      { type: "punch_introduce", channel, attempt: 0, role: "nat3", peer_reflex: "192.0.2.1:1", delay_ms: 0 },
      { type: "punch_reject", channel, attempt: 0, reason: "no-session" },
      { type: "punch_ack", channel, attempt: 0 },
    ];
    expect(bench.hear(...others)).toEqual([]);
    expect(bench.client.dropped.unknownChannel).toBe(others.length);
  });

  test("starts and introduces only what was asked for, once, in the role that was asked for, and soon", () => {
    const bench = new Bench().withPipes(1);
    const start: SignalInput = { type: "start_punching", channel: 1, attempt: 4, delay_ms: 600_000 };
    const introduce: SignalInput = {
      type: "punch_introduce",
      channel: 1,
      attempt: 4,
      role: "nat4",
      peer_reflex: "192.0.2.1:1",
      delay_ms: 600_000,
    };
    expect(
      bench.hear(start, introduce, { type: "punch_reject", channel: 1, attempt: 4, reason: "no-session" }),
    ).toEqual([]);
    bench.client.sendCandidates(1, 4, [], true);
    bench.client.requestPunch(0, 1, 4, "nat3", SEEN);
    expect(bench.hear({ ...start, attempt: 3 } as SignalInput, start, start, introduce, introduce)).toEqual([
      { type: "start-punching", channel: 1, attempt: 4, delayMs: MAX_START_DELAY_MS },
      {
        type: "introduced",
        channel: 1,
        attempt: 4,
        role: "nat3",
        peerReflex: { address: "192.0.2.1", port: 1 },
        delayMs: MAX_START_DELAY_MS,
      },
    ]);
    expect(bench.client.dropped.unexpected).toBe(6);
  });

  test("offers without end: 64, the others are refused", () => {
    const bench = new Bench(true);
    bench.client.connected(0);
    bench.said();
    const told = Array.from({ length: MAX_CHANNELS + 2 }, (_, i) => bench.hear(incoming(i + 1)).length);
    expect(told.reduce((sum, one) => sum + one, 0)).toBe(MAX_CHANNELS);
    expect(bench.said()).toEqual(
      [65, 66].map((channel) => ({ type: "p2p_reject", channel, reason: "too-many-channels" })),
    );
  });

  test("answers nothing: requests end by themselves", () => {
    const bench = new Bench().withPipes(1);
    const requestId = bench.client.open(0, "office", "echo", OFFER);
    bench.client.requestPunch(0, 1, 1, "nat3", SEEN);
    for (let at = 0; at <= UNANSWERED_MS; at += 1_000) {
      bench.now = at;
      bench.client.received(at, { type: "pong", id: 0 });
      bench.client.handleTimeout(at);
    }
    expect(bench.told()).toEqual([
      { type: "punch-rejected", channel: 1, attempt: 1, reason: "no-session" },
      { type: "failed", requestId, reason: "transport", by: "server" },
    ]);
  });

  test("asks without listening: the connection is given up", () => {
    const bench = new Bench(true);
    bench.client.connected(0);
    for (let i = 1; i <= 600; i++) bench.hear(incoming(i)).map(() => bench.client.reject(i, ""));
    bench.client.handleTimeout(0);
    expect([bench.client.isConnected, bench.client.pollMessage()]).toEqual([false, undefined]);
  });

  test("says what only peers say", () => {
    const bench = new Bench().withPipes(1);
    expect(bench.hear({ type: "register", node: "" }, { type: "resume", channels: [1] })).toEqual([]);
    expect(bench.client.dropped.unexpected).toBe(2);
  });
});

test("what is passed on as it is: registration, credential, lanes wanted", () => {
  const bench = new Bench(true);
  bench.client.connected(0);
  expect(
    bench.hear(
      { type: "registered", lease_ms: 35_000 },
      { type: "stun_credential", username: "u", password: "p", port: 3_478 },
      { type: "lanes_wanted", packets: 3 },
    ),
  ).toEqual([
    { type: "registered", leaseMs: 35_000 },
    { type: "stun-credential", username: "u", password: "p", port: 3_478 },
    { type: "lanes-wanted", packets: 3 },
  ]);
});
