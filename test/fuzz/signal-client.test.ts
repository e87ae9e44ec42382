import { expect, test } from "bun:test";
import { SignalClient } from "../../src/core/signal/client.ts";
import { MAX_CHANNELS, MAX_START_DELAY_MS } from "../../src/core/signal/limits.ts";
import { decodeSignal, encodeSignal, type SignalInput } from "../../src/core/wire/signal.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { ANSWER, HOST, OFFER, UNKNOWN } from "../unit/core/signal/hub-bench.ts";

const STEPS = 600;
const SEEN = { address: "198.51.100.2", port: 5_000 };

/** Anything a server could say, about few numbers, so that much of it fits. */
function serverSignal(random: Random): SignalInput {
  const channel = random.between(1, 80);
  const attempt = random.below(3);
  const request_id = random.between(1, 30);
  const opened = { type: "p2p_opened" as const, channel, peer: UNKNOWN, rtt_ms: null, peer_rtt_ms: 1 };
  return random.pick<SignalInput>([
    { ...opened, request_id, answer: ANSWER },
    { ...opened, request_id },
    opened,
    { type: "p2p_incoming", channel, from: "home", service: "echo", offer: OFFER, peer: UNKNOWN },
    { type: "p2p_failed", request_id, reason: "", by: random.pick(["server", "target"]) },
    { type: "p2p_close", channel, reason: "" },
    { type: "candidates", channel, attempt, candidates: [HOST], last: true, peer: UNKNOWN },
    { type: "start_punching", channel, attempt, delay_ms: random.below(600_000) },
    { type: "punch_introduce", channel, attempt, role: "nat3", peer_reflex: "192.0.2.1:1", delay_ms: 600_000 },
    { type: "punch_reject", channel, attempt, reason: "rate-limited" },
    { type: "punch_ack", channel, attempt },
    { type: "ping", id: random.below(9) },
    { type: "pong", id: random.below(9) },
    { type: "register", node: "" },
    { type: "lanes_wanted", packets: 1 },
  ]);
}

/** What one client was promised, and what it told. */
class Promises {
  readonly client: SignalClient;
  readonly requests = new Set<number>();
  readonly punches = new Set<string>();
  readonly wrong: string[] = [];

  constructor(random: Random) {
    this.client = new SignalClient({ random: (length) => random.bytes(length), node: "", isTarget: true });
  }

  act(random: Random, now: number): void {
    const { client } = this;
    const channel = random.between(1, 80);
    const attempt = random.below(3);
    switch (random.below(8)) {
      case 0:
        this.requests.add(client.open(now, "office", "echo", OFFER));
        break;
      case 1:
        client.accept(channel, ANSWER);
        break;
      case 2:
        client.reject(channel, "");
        break;
      case 3:
        client.sendCandidates(channel, attempt, [], true);
        break;
      case 4:
        if (this.punches.has(`${channel} ${attempt}`)) break;
        this.punches.add(`${channel} ${attempt}`);
        client.requestPunch(now, channel, attempt, "nat4", SEEN);
        break;
      case 5:
        if (!random.oneIn(20)) break;
        client.disconnected(now);
        break;
      default:
        if (!client.isConnected) client.connected(now);
    }
  }

  listen(): void {
    for (let event = this.client.pollEvent(); event !== undefined; event = this.client.pollEvent()) {
      if ("delayMs" in event && event.delayMs > MAX_START_DELAY_MS) this.wrong.push("a long pause");
      if (event.type === "opened" || event.type === "failed") {
        if (!this.requests.delete(event.requestId)) this.wrong.push(`outcome of nothing: ${event.type}`);
      } else if (event.type === "introduced" || event.type === "punch-rejected") {
        if (event.type === "introduced" && event.role !== "nat4") this.wrong.push("another role");
        if (!this.punches.delete(`${event.channel} ${event.attempt}`)) this.wrong.push("a punch ended twice");
      }
      if (event.type !== "closed") continue;
      for (const punch of [...this.punches]) if (punch.startsWith(`${event.channel} `)) this.punches.delete(punch);
    }
  }
}

test(
  "whatever a server says: every request has one outcome, nothing starts that was not asked for, nothing piles up",
  () => {
    for (const seed of fuzzSeeds("signal-client", 20)) {
      const random = new Random(seed);
      const promises = new Promises(random);
      const { client } = promises;
      let now = 0;
      let resumed = 0;
      for (let i = 0; i < STEPS; i++) {
        promises.act(random, now);
        promises.listen();
        for (let more = random.below(4); more > 0; more--) {
          const bytes = encodeSignal(serverSignal(random));
          if (random.oneIn(5)) bytes[random.below(bytes.length)] = random.below(256);
          const decoded = decodeSignal(bytes);
          if (decoded.ok) client.received(now, decoded.signal);
          promises.listen();
        }
        now += random.below(300);
        client.handleTimeout(now);
        promises.listen();
        for (let next = client.pollMessage(); next !== undefined; next = client.pollMessage())
          if (next.type === "resume") resumed = Math.max(resumed, next.channels.length);
      }
      client.disconnected(now);
      client.handleTimeout(now + 60_000);
      promises.listen();
      expect([seed, promises.wrong, [...promises.requests], [...promises.punches]]).toEqual([seed, [], [], []]);
      expect(resumed).toBeLessThanOrEqual(MAX_CHANNELS);
      expect(client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    }
  },
  SLOW_MACHINE_MS,
);
