import { describe, expect, test } from "bun:test";
import { parseCandidate } from "../../../../src/core/ice/candidate.ts";
import type { SignalClientEvent } from "../../../../src/core/signal/client-event.ts";
import { UNSENT_MS } from "../../../../src/core/signal/client-requests.ts";
import { DEAD_AFTER_MS, PING_EVERY_MS } from "../../../../src/core/signal/heartbeat.ts";
import { MAX_CHANNELS, MAX_PENDING_OPENS, RECONNECT_GRACE_MS } from "../../../../src/core/signal/limits.ts";
import { UNKNOWN_NETWORK } from "../../../../src/core/signal/peer-info.ts";
import type { PeerInfo } from "../../../../src/core/wire/signal.ts";
import { ANSWER, HOST, OFFER } from "./hub-bench.ts";
import { SignalWorld, type WorldClient } from "./signal-world.ts";

const SECOND = 1_000;
const CONE: PeerInfo = { nat: "cone", filtering: null, reflex: null, caps: [] };

type Told<Type extends SignalClientEvent["type"]> = Extract<SignalClientEvent, { type: Type }>;

/** The last one of this type; the events before it are forgotten. */
function last<Type extends SignalClientEvent["type"]>(world: SignalWorld, one: WorldClient, type: Type): Told<Type> {
  const found = world.told(one).findLast((event) => event.type === type);
  if (found === undefined) throw new Error(`${one.name} was told of no ${type}`);
  return found as Told<Type>;
}

interface Pair {
  readonly world: SignalWorld;
  readonly home: WorldClient;
  readonly office: WorldClient;
  readonly ours: number;
  readonly theirs: number;
}

function connected(): { world: SignalWorld; home: WorldClient; office: WorldClient } {
  const world = new SignalWorld();
  const home = world.client("home", 40);
  const office = world.client("office", 100, true);
  for (const one of [home, office]) world.connect(one);
  world.pass(SECOND);
  for (const one of [home, office]) world.told(one);
  return { world, home, office };
}

function openPipe(): Pair {
  const { world, home, office } = connected();
  home.client.open(world.now, "office", "echo", OFFER);
  world.pass(SECOND);
  const { channel: theirs } = last(world, office, "incoming");
  office.client.accept(theirs, ANSWER);
  world.pass(SECOND);
  const { channel: ours } = last(world, home, "opened");
  last(world, office, "accepted");
  return { world, home, office, ours, theirs };
}

describe("a pipe", () => {
  test("asked for before there is a connection opens as soon as there is one, and its target", () => {
    const world = new SignalWorld();
    const home = world.client("home", 40);
    const office = world.client("office", 100, true);
    home.client.setPeerInfo(0, CONE);
    const requestId = home.client.open(0, "office", "echo", OFFER);
    world.pass(SECOND);
    world.connect(home);
    world.pass(5 * SECOND);
    world.connect(office);
    world.pass(SECOND);
    const [credential, registered, incoming] = world.told(office);
    expect([credential?.type, registered]).toEqual(["stun-credential", { type: "registered", leaseMs: 35_000 }]);
    expect(incoming).toEqual({
      type: "incoming",
      channel: incoming?.type === "incoming" ? incoming.channel : 0,
      from: "home",
      service: "echo",
      offer: OFFER,
      peer: CONE,
    });
    const theirs = incoming?.type === "incoming" ? incoming.channel : 0;
    office.client.accept(theirs, ANSWER);
    world.pass(SECOND);
    const ours = last(world, home, "opened");
    expect(ours).toEqual({
      type: "opened",
      channel: ours.channel,
      requestId,
      answer: ANSWER,
      peer: UNKNOWN_NETWORK,
      rttMs: 40,
      peerRttMs: 100,
    });
    expect(world.told(office)).toEqual([{ type: "accepted", channel: theirs, peer: CONE, rttMs: 100, peerRttMs: 40 }]);
  });

  test("is refused, in the target's words", () => {
    const { world, home, office } = connected();
    const requestId = home.client.open(world.now, "office", "echo", OFFER);
    world.pass(SECOND);
    office.client.reject(last(world, office, "incoming").channel, "not-authorised");
    world.pass(SECOND);
    expect(world.told(home)).toEqual([{ type: "failed", requestId, reason: "not-authorised", by: "target" }]);
  });

  test("that nobody waits for any more when it opens is closed", () => {
    const { world, home, office } = connected();
    const requestId = home.client.open(world.now, "office", "echo", OFFER);
    world.pass(SECOND);
    home.client.cancel(requestId);
    office.client.accept(last(world, office, "incoming").channel, ANSWER);
    world.pass(SECOND);
    expect(world.told(home)).toEqual([]);
    expect(world.told(office).map(({ type }) => type)).toEqual(["accepted", "closed"]);
    expect(world.hub.pipes).toBe(0);
  });

  test("closed by one end, closes at the other", () => {
    const { world, home, office, ours, theirs } = openPipe();
    office.client.close(theirs, "idle");
    world.pass(SECOND);
    expect([world.told(home), world.told(office)]).toEqual([[{ type: "closed", channel: ours, reason: "idle" }], []]);
  });
});

describe("requests wait their turn", () => {
  test("eight at the server, the others behind them; each has one outcome", () => {
    const { world, home } = connected();
    const ids = Array.from({ length: MAX_CHANNELS }, () => home.client.open(world.now, "nobody", "echo", OFFER));
    const tooMany = home.client.open(world.now, "nobody", "echo", OFFER);
    world.settle();
    expect(world.told(home)).toEqual([
      { type: "failed", requestId: tooMany, reason: "too-many-requests", by: "server" },
    ]);
    world.pass(SECOND);
    expect(world.hub.pendingOpens).toBe(MAX_PENDING_OPENS);
    world.pass(200 * SECOND);
    const failed = world.told(home).flatMap((event) => (event.type === "failed" ? [event] : []));
    expect(failed.map(({ requestId }) => requestId).sort((a, b) => a - b)).toEqual(ids);
    // Nobody is refused for asking too much: those that had no chance in half a minute never left.
    expect(new Set(failed.map(({ reason }) => reason))).toEqual(new Set(["peer-not-reachable", "transport"]));
  });

  test("64 to a target that is there open within a few seconds", () => {
    const world = new SignalWorld();
    const home = world.client("home", 40);
    world.connect(home);
    for (let i = 0; i < 4; i++) world.connect(world.client(`office${i}`, 40, true));
    world.pass(SECOND);
    for (let i = 0; i < MAX_CHANNELS; i++) home.client.open(world.now, `office${i % 4}`, "echo", OFFER);
    for (let i = 0; i < 60; i++) {
      world.pass(100);
      for (const one of world.clients.values())
        for (const event of world.told(one)) if (event.type === "incoming") one.client.accept(event.channel, ANSWER);
    }
    expect(world.hub.pipes).toBe(MAX_CHANNELS);
  });

  test("without a connection they are given up after half a minute", () => {
    const world = new SignalWorld();
    const home = world.client("home");
    const requestId = home.client.open(0, "office", "echo", OFFER);
    world.pass(UNSENT_MS - 1);
    expect(world.told(home)).toEqual([]);
    world.pass(1);
    expect(world.told(home)).toEqual([{ type: "failed", requestId, reason: "transport", by: "server" }]);
    expect(home.client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("going direct", () => {
  const host = parseCandidate(HOST);
  const candidates = host === undefined ? [] : [host];

  test("candidates cross, both start at the same instant, though told at different ones", () => {
    const { world, home, office, ours, theirs } = openPipe();
    home.client.setPeerInfo(world.now, CONE);
    home.client.sendCandidates(ours, 1, candidates, true);
    office.client.sendCandidates(theirs, 1, candidates, true);
    world.pass(SECOND);
    const starts = [home, office].map(({ events }) => {
      const start = events.find(({ event }) => event.type === "start-punching");
      return start?.event.type === "start-punching" ? start.at + start.event.delayMs : undefined;
    });
    expect(starts[0]).toBe(starts[1] as number);
    expect(world.told(office)[0]).toEqual({
      type: "candidates",
      channel: theirs,
      attempt: 1,
      candidates,
      last: true,
      peer: CONE,
    });
  });

  test("both ask to punch from where STUN saw them, are introduced and tell each other", () => {
    const { world, home, office, ours, theirs } = openPipe();
    const seen = { address: "198.51.100.2", port: 5_000 };
    const before = world.now;
    for (const one of [home, office]) {
      world.cut(one);
      world.connect(one);
      world.pass(SECOND);
      world.hub.observed(world.now, last(world, one, "stun-credential").username, seen);
    }
    expect(world.now).toBe(before + 2 * SECOND);
    home.client.requestPunch(world.now, ours, 2, "nat3", seen);
    office.client.requestPunch(world.now, theirs, 2, "nat4", seen);
    world.pass(SECOND);
    expect(world.told(home)).toEqual([
      { type: "introduced", channel: ours, attempt: 2, role: "nat3", peerReflex: seen, delayMs: 30 },
    ]);
    expect(last(world, office, "introduced")).toEqual({
      type: "introduced",
      channel: theirs,
      attempt: 2,
      role: "nat4",
      peerReflex: seen,
      delayMs: 0,
    });
    home.client.acknowledgePunch(ours, 2);
    world.pass(SECOND);
    expect(world.told(office)).toEqual([{ type: "punch-acknowledged", channel: theirs, attempt: 2 }]);
    home.client.result(ours, "hardnat", 120, "");
    world.pass(SECOND);
    expect(world.hubEvents.at(-1)).toMatchObject({ type: "result", from: "home", peer: "office", winner: "hardnat" });
  });

  test("a request to punch ends in one answer, whatever becomes of the connection", () => {
    const { world, home, ours } = openPipe();
    const seen = { address: "198.51.100.2", port: 5_000 };
    const rejected = (attempt: number, reason: string) => ({ type: "punch-rejected", channel: ours, attempt, reason });
    home.client.requestPunch(world.now, ours, 1, "nat3", seen);
    world.pass(SECOND);
    expect(world.told(home)).toEqual([rejected(1, "reflex-mismatch")] as never);
    home.client.requestPunch(world.now, ours, 2, "nat3", seen);
    world.cut(home);
    home.client.requestPunch(world.now, ours, 3, "nat3", seen);
    world.settle();
    expect(world.told(home)).toEqual([rejected(2, "no-session"), rejected(3, "no-session")] as never);
    expect(home.client.sendCandidates(ours, 3, candidates, true)).toBe(false);
  });
});

describe("a connection is lost", () => {
  test("and comes back: the pipe is the same, requests under way have failed", () => {
    const { world, home, office, ours, theirs } = openPipe();
    const requestId = home.client.open(world.now, "nobody", "echo", OFFER);
    world.pass(SECOND);
    world.cut(home);
    expect(world.told(home)).toEqual([{ type: "failed", requestId, reason: "transport", by: "server" }]);
    world.pass(RECONNECT_GRACE_MS / 2);
    world.connect(home);
    world.pass(RECONNECT_GRACE_MS * 2);
    expect(world.told(home).map(({ type }) => type)).toEqual(["stun-credential"]);
    expect(world.told(office)).toEqual([]);
    home.client.close(ours, "done");
    world.pass(SECOND);
    expect(world.told(office)).toEqual([{ type: "closed", channel: theirs, reason: "done" }]);
  });

  test("a pipe that was closed meanwhile is closed at the other end once it is back", () => {
    const { world, home, office, ours, theirs } = openPipe();
    world.cut(home);
    home.client.close(ours, "done");
    world.pass(SECOND);
    expect(world.told(office)).toEqual([]);
    world.connect(home);
    world.pass(SECOND);
    expect(world.told(office)).toEqual([{ type: "closed", channel: theirs, reason: "not-resumed" }]);
  });

  test("between answer and opening: neither end believes in a pipe that the other has not", () => {
    for (const loser of ["home", "office"] as const) {
      const { world, home, office } = connected();
      home.client.open(world.now, "office", "echo", OFFER);
      world.pass(SECOND);
      office.client.accept(last(world, office, "incoming").channel, ANSWER);
      // The answer is at the hub, and what it says then is still on its way.
      world.pass(51);
      const one = loser === "home" ? home : office;
      world.cut(one);
      world.connect(one);
      world.pass(SECOND);
      expect(world.hub.pipes).toBe(0);
      const other = loser === "home" ? office : home;
      expect(world.told(other).at(-1)).toMatchObject({ type: "closed", reason: "not-resumed" });
    }
  });

  test("nobody hears of it: both ends notice the silence", () => {
    const { world, home } = openPipe();
    const id = home.id ?? 0;
    world.dead.add(id);
    world.pass(PING_EVERY_MS + DEAD_AFTER_MS);
    expect(world.told(home)).toEqual([{ type: "lost" }]);
    expect(home.client.isConnected).toBe(false);
    expect(world.hubEvents.at(-1)).toMatchObject({ type: "evict", id, reason: "dead" });
  });

  test("the server starts anew: it knows no pipe, says so, and they can be opened again", () => {
    const { world, home, office, ours, theirs } = openPipe();
    world.restartHub();
    expect([world.told(home), world.told(office)]).toEqual([[], []]);
    for (const one of [home, office]) world.connect(one);
    world.pass(SECOND);
    expect(last(world, home, "closed")).toEqual({ type: "closed", channel: ours, reason: "unknown-channel" });
    expect(last(world, office, "closed")).toEqual({ type: "closed", channel: theirs, reason: "unknown-channel" });
    home.client.open(world.now, "office", "echo", OFFER);
    world.pass(SECOND);
    expect(last(world, office, "incoming").from).toBe("home");
  });
});
