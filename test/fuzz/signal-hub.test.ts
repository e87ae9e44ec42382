import { expect, test } from "bun:test";
import { parseCandidate } from "../../src/core/ice/candidate.ts";
import type { SignalClientEvent } from "../../src/core/signal/client-event.ts";
import { MAX_CHANNELS, MAX_PENDING_OPENS, RECONNECT_GRACE_MS, SESSIONS_PER_CN } from "../../src/core/signal/limits.ts";
import { encodeSignal, type SignalInput } from "../../src/core/wire/signal.ts";
import { fuzzSeeds, type Random, SLOW_MACHINE_MS } from "../random.ts";
import { ANSWER, HOST, OFFER, UNKNOWN } from "../unit/core/signal/hub-bench.ts";
import { SignalWorld, type WorldClient } from "../unit/core/signal/signal-world.ts";

const TARGETS = ["office", "plant"];
/** Two processes that fight for one CN, and one that has it alone. */
const PROCESSES = ["office/1", "office/2", "plant"];
const ASKERS = ["home/1", "home/2", "cabin"];
const STEPS = 250;
const SEEN = { address: "198.51.100.2", port: 5_000 };
/** What the hostile one says wherever it can; nobody else may hear it of a pipe that is not the hostile one's. */
const EVIL = "evil";

/** A peer as its owner would drive it, and all that it was promised. */
class Honest {
  readonly peer: WorldClient;
  readonly isTarget: boolean;
  readonly requests = new Set<number>();
  readonly channels = new Map<number, "incoming" | "rejected" | "accepted" | "open">();
  readonly punches = new Set<string>();
  /** Of its newest STUN credential. */
  username = "";
  /** What was told that was never asked for, or twice. */
  readonly wrong: string[] = [];

  constructor(peer: WorldClient) {
    this.peer = peer;
    this.isTarget = PROCESSES.includes(peer.name);
    peer.client.setPeerInfo(0, { nat: "cone", filtering: null, reflex: null, caps: [peer.name] });
  }

  act(world: SignalWorld): void {
    const { random, now } = world;
    const { client } = this.peer;
    const open = [...this.channels].filter(([, state]) => state === "open").map(([channel]) => channel);
    switch (random.below(8)) {
      case 0:
        this.requests.add(client.open(now, random.pick([...TARGETS, "nobody", "hostile"]), "echo", OFFER));
        break;
      case 1: {
        const [request] = this.requests;
        if (request === undefined || !random.oneIn(4)) break;
        client.cancel(request);
        this.requests.delete(request);
        break;
      }
      case 2: {
        if (open.length === 0 || !random.oneIn(4)) break;
        const channel = random.pick(open);
        client.close(channel, "done");
        this.forget(channel);
        break;
      }
      case 3:
      case 4: {
        const host = parseCandidate(HOST);
        if (open.length > 0 && host !== undefined)
          client.sendCandidates(random.pick(open), random.below(2), [host], true);
        break;
      }
      case 5:
      case 6: {
        if (open.length === 0) break;
        const channel = random.pick(open);
        const attempt = random.below(2);
        if (this.punches.has(`${channel} ${attempt}`)) break;
        this.punches.add(`${channel} ${attempt}`);
        client.requestPunch(now, channel, attempt, random.oneIn(9) || !this.isTarget ? "nat3" : "nat4", SEEN);
        break;
      }
      default:
        if (this.peer.id === undefined) world.connect(this.peer);
    }
  }

  /** Everything that it was told; asks are answered at random. */
  listen(world: SignalWorld, otherOf: (channel: number) => string | undefined): void {
    for (const event of world.told(this.peer)) this.#take(world, event, otherOf);
  }

  forget(channel: number): void {
    this.channels.delete(channel);
    for (const punch of [...this.punches]) if (punch.startsWith(`${channel} `)) this.punches.delete(punch);
  }

  #take(world: SignalWorld, event: SignalClientEvent, otherOf: (channel: number) => string | undefined): void {
    const { client } = this.peer;
    const { random } = world;
    switch (event.type) {
      case "opened":
      case "failed":
        if (!this.requests.delete(event.requestId)) this.wrong.push(`second outcome ${JSON.stringify(event)}`);
        if (event.type === "opened") this.channels.set(event.channel, "open");
        break;
      case "incoming":
        this.channels.set(event.channel, "incoming");
        if (event.from !== "hostile" && event.peer.caps[0]?.split("/")[0] !== event.from)
          this.wrong.push(`offer of ${event.from} with the network of ${event.peer.caps[0]}`);
        if (random.oneIn(8)) break;
        if (random.oneIn(4)) {
          client.reject(event.channel, "no");
          // It may have closed before we came to read of it.
          this.channels.set(event.channel, "rejected");
        } else if (client.accept(event.channel, ANSWER)) this.channels.set(event.channel, "accepted");
        break;
      case "accepted":
        if (this.channels.get(event.channel) !== "accepted") this.wrong.push("accepted what was not");
        this.channels.set(event.channel, "open");
        break;
      case "candidates": {
        const other = otherOf(event.channel);
        if (other !== "hostile" && event.peer.caps[0] !== other)
          this.wrong.push(`candidates of ${event.peer.caps[0]} on the pipe with ${other}`);
        break;
      }
      case "introduced":
      case "punch-rejected":
        if (!this.punches.delete(`${event.channel} ${event.attempt}`)) this.wrong.push("a punch ended twice");
        break;
      case "stun-credential":
        this.username = event.username;
        break;
      case "closed":
        if (!this.channels.has(event.channel)) this.wrong.push("closed what was not there");
        if (event.reason === EVIL && otherOf(event.channel) !== "hostile") this.wrong.push("closed by a stranger");
        this.forget(event.channel);
        break;
      default:
    }
  }
}

/** Any signal, about anybody's channel. */
function hostileSignal(random: Random, channels: readonly number[]): SignalInput {
  const channel = channels.length === 0 || random.oneIn(5) ? random.between(1, 0xffff_ffff) : random.pick(channels);
  const attempt = random.below(4);
  return random.pick<SignalInput>([
    { type: "register", node: EVIL },
    { type: "ping", id: random.below(9) },
    { type: "pong", id: random.below(9) },
    { type: "peer_info", info: { ...UNKNOWN, reflex: "203.0.113.9:1", caps: [EVIL] } },
    { type: "resume", channels: channels.slice(0, random.below(64)) },
    { type: "open_p2p", request_id: random.between(1, 20), to: random.pick(TARGETS), service: EVIL, offer: OFFER },
    { type: "open_p2p", request_id: random.between(1, 20), to: "hostile", service: EVIL, offer: OFFER },
    { type: "p2p_accept", channel, answer: ANSWER },
    { type: "p2p_reject", channel, reason: EVIL },
    { type: "p2p_close", channel, reason: EVIL },
    { type: "candidates", channel, attempt, candidates: [HOST], last: true, peer: { ...UNKNOWN, caps: [EVIL] } },
    { type: "punch_request", channel, attempt, role: "nat3", reflex: "203.0.113.9:1" },
    { type: "punch_ack", channel, attempt },
    { type: "p2p_result", channel, winner: "none", elapsed_ms: 1, cause: EVIL },
    { type: "registered", lease_ms: 1 },
    { type: "start_punching", channel, attempt, delay_ms: 0 },
    { type: "punch_introduce", channel, attempt, role: "nat4", peer_reflex: "203.0.113.9:1", delay_ms: 0 },
  ]);
}

class Model {
  readonly world: SignalWorld;
  readonly honest: Honest[];
  readonly hostile: WorldClient;
  /** The CN and session at the other end of each channel that there ever was. */
  readonly #others = new Map<number, string>();

  constructor(seed: number) {
    this.world = new SignalWorld(seed);
    this.honest = [
      ...PROCESSES.map((name) => new Honest(this.world.client(name, 100, true))),
      ...ASKERS.map((name, i) => new Honest(this.world.client(name, 20 * i, false))),
    ];
    this.hostile = this.world.client("hostile", 10, true);
  }

  step(): void {
    const { world } = this;
    const { random } = world;
    const channels = [...this.#others.keys()];
    if (this.hostile.id === undefined) world.connect(this.hostile);
    for (let i = random.below(6); i > 0; i--) world.sayRaw(this.hostile, encodeSignal(hostileSignal(random, channels)));
    for (const one of this.honest) {
      one.act(world);
      if (random.oneIn(100)) world.cut(one.peer);
      if (random.oneIn(400) && one.peer.id !== undefined) world.dead.add(one.peer.id);
      if (random.oneIn(20)) world.hub.observed(world.now, one.username, SEEN);
    }
    if (random.oneIn(200)) world.restartHub();
    this.pass(random.pick([0, 1, 10, 50, 200, 5_000]));
  }

  pass(ms: number): void {
    this.world.pass(ms);
    for (const event of this.world.hubEvents.splice(0))
      if (event.type === "opened") {
        const [one, other] = event.ends;
        this.#others.set(one.channel, other.sessionId);
        this.#others.set(other.channel, one.sessionId);
      }
    for (const one of this.honest) one.listen(this.world, (channel) => this.#others.get(channel));
  }

  /** What no state may ever show. */
  excess(): string[] {
    const { hub } = this.world;
    const cns = new Set(hub.members.map(({ cn }) => cn));
    const found: string[] = [];
    for (const { sessionId, pipes } of hub.members)
      if (pipes > MAX_CHANNELS) found.push(`${sessionId}: ${pipes} pipes`);
    for (const cn of cns)
      if (hub.members.filter((member) => member.cn === cn).length > SESSIONS_PER_CN) found.push(`${cn}: too many`);
    if (hub.pendingOpens > MAX_PENDING_OPENS * cns.size) found.push("requests pile up");
    return found;
  }
}

test(
  "many peers and a hostile one: nothing crosses channels, every request has one outcome, nothing stays",
  () => {
    for (const seed of fuzzSeeds("signal-hub", 20)) {
      const model = new Model(seed);
      const { world, honest, hostile } = model;
      for (let i = 0; i < STEPS; i++) {
        model.step();
        expect([seed, i, model.excess()]).toEqual([seed, i, []]);
      }
      // Everybody comes back and is left in peace: who is cut off notices, what is under way ends.
      for (const { peer } of honest) {
        world.cut(peer);
        world.connect(peer);
      }
      world.cut(hostile);
      model.pass(RECONNECT_GRACE_MS * 2);
      const wrong = honest.flatMap((one) => [
        ...one.wrong,
        ...[...one.requests].map((id) => `request ${id} of ${one.peer.name} has no outcome`),
        ...[...one.punches].map((punch) => `punch ${punch} of ${one.peer.name} has no outcome`),
      ]);
      expect([seed, wrong]).toEqual([seed, []]);
      // Both sides know the same pipes; of two that fight for a CN one is away.
      const known = honest.flatMap(({ peer, channels }) =>
        peer.id === undefined ? [] : [[peer.name, [...channels.values()].filter((state) => state === "open").length]],
      );
      const atHub = Object.fromEntries(world.hub.members.map(({ sessionId, pipes }) => [sessionId, pipes]));
      expect([seed, atHub]).toEqual([seed, Object.fromEntries(known)]);
      for (const { peer } of honest) world.cut(peer);
      model.pass(RECONNECT_GRACE_MS * 2);
      expect([seed, world.hub.members, world.hub.pipes, world.hub.nextTimeout()]).toEqual([
        seed,
        [],
        0,
        Number.POSITIVE_INFINITY,
      ]);
    }
  },
  SLOW_MACHINE_MS,
);
