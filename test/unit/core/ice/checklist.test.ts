import { describe, expect, test } from "bun:test";
import { type Candidate, candidatePriority, type LocalCandidate } from "../../../../src/core/ice/candidate.ts";
import { type CandidatePair, Checklist } from "../../../../src/core/ice/checklist.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

function local(address: string, { socket = 0, foundation = `l${address}`, rank = 0 } = {}): LocalCandidate {
  const endpoint = { address, port: 5_000 };
  return {
    type: "host",
    foundation,
    priority: candidatePriority("host", 65_535 - rank),
    endpoint,
    base: endpoint,
    socket,
  };
}

function remote(address: string, some: Partial<Candidate> & { port?: number } = {}): Candidate {
  const { port = 6_000, ...rest } = some;
  const endpoint = { address, port };
  return { type: "host", foundation: `r${address}:${port}`, priority: 1_000, endpoint, ...rest };
}

const show = ({ local, remote, state }: CandidatePair) => `${local.socket} ${remote.endpoint.address} ${state}`;
const shown = (list: Checklist) => list.pairs.map(show);

/** As the RFC writes it, §6.1.2.3. */
function pairPriority(g: number, d: number): bigint {
  const [G, D] = [BigInt(g), BigInt(d)];
  return 2n ** 32n * (G < D ? G : D) + 2n * (G > D ? G : D) + (G > D ? 1n : 0n);
}

/** Answers whatever is checked next. */
function succeed(list: Checklist): CandidatePair {
  const pair = list.next() as CandidatePair;
  list.succeed(pair, pair.local, undefined);
  return pair;
}

describe("pairs", () => {
  test("stand in the order of the RFC's formula, whichever side controls", () => {
    for (const seed of fuzzSeeds("checklist order", 50)) {
      const random = new Random(seed);
      const one = local("10.0.0.1", { rank: random.below(65_536) });
      const list = new Checklist([one], random.oneIn(2));
      const some = () => random.pick([1, 2 ** 31 - 1, one.priority, one.priority + 1, 1 + random.below(2 ** 31 - 1)]);
      for (let i = 1; i <= 30; i++) list.addRemote(remote(`203.0.113.${i}`, { priority: some() }));
      const priorities = () =>
        list.pairs.map((pair) => {
          const [own, theirs] = [pair.local.priority, pair.remote.priority];
          return list.controlling ? pairPriority(own, theirs) : pairPriority(theirs, own);
        });
      for (const _ of [1, 2]) {
        const sorted = priorities().toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0));
        expect({ seed, order: priorities() }).toEqual({ seed, order: sorted });
        list.controlling = !list.controlling;
      }
    }
  });

  test("of one family only, loopback with loopback only", () => {
    const list = new Checklist([local("10.0.0.1"), local("2001:db8::1", { socket: 1 })], true);
    const peers = ["203.0.113.1", "2001:db8::2", "127.0.0.1", "::1"];
    expect(peers.map((address) => list.addRemote(remote(address)))).toEqual([true, true, true, true]);
    expect(shown(list).sort()).toEqual(["0 203.0.113.1 waiting", "1 2001:db8::2 waiting"]);
    const inside = new Checklist([local("127.0.0.1")], true);
    for (const address of peers) inside.addRemote(remote(address));
    expect(shown(inside)).toEqual(["0 127.0.0.1 waiting"]);
  });

  test("a reflexive candidate of ours makes none of its own, nor a second address of a socket (§6.1.2.4)", () => {
    const base = local("10.0.0.1");
    const mapped = { ...base, type: "srflx", endpoint: { address: "198.51.100.2", port: 1 } } as const;
    const list = new Checklist([base, mapped, local("10.0.0.2", { rank: 1 })], true);
    list.addRemote(remote("203.0.113.1"));
    expect(list.pairs.map((pair) => [pair.local.endpoint.address, show(pair)])).toEqual([
      ["10.0.0.1", "0 203.0.113.1 waiting"],
    ]);
  });

  test("the same address told twice counts once", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    expect([1, 2].map((priority) => list.addRemote(remote("203.0.113.1", { priority })))).toEqual([true, true]);
    expect(list.pairs.map((pair) => pair.remote.priority)).toEqual([1]);
  });
});

describe("states", () => {
  const same = { foundation: "same" };

  test("of each foundation one waits; the others when it has succeeded (§6.1.2.6, §7.2.5.3.3)", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    for (const priority of [3, 2, 1]) list.addRemote(remote(`203.0.113.${priority}`, { priority, ...same }));
    list.addRemote(remote("203.0.113.9", { priority: 9 }));
    expect(shown(list)).toEqual([
      "0 203.0.113.9 waiting",
      "0 203.0.113.3 waiting",
      "0 203.0.113.2 frozen",
      "0 203.0.113.1 frozen",
    ]);
    expect(succeed(list).remote.endpoint.address).toBe("203.0.113.9");
    expect(shown(list).slice(2)).toEqual(["0 203.0.113.2 frozen", "0 203.0.113.1 frozen"]);
    succeed(list);
    expect(shown(list).slice(2)).toEqual(["0 203.0.113.2 waiting", "0 203.0.113.1 waiting"]);
  });

  test("a frozen one is not checked while another of its foundation is, and is once that has failed (§6.1.4.2)", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    for (const priority of [2, 1]) list.addRemote(remote(`203.0.113.${priority}`, { priority, ...same }));
    const first = list.next() as CandidatePair;
    first.state = "in-progress";
    expect([list.hasNext, list.next()]).toEqual([false, undefined]);
    first.state = "failed";
    expect(list.hasNext).toBe(true);
    expect(list.next()?.remote.endpoint.address).toBe("203.0.113.1");
  });

  test("one that comes late waits where its foundation works, and is frozen where it is being tried (RFC 8838 §12)", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    list.addRemote(remote("203.0.113.1", same));
    list.addRemote(remote("203.0.113.2", { priority: 1, ...same }));
    expect(shown(list)).toEqual(["0 203.0.113.1 waiting", "0 203.0.113.2 frozen"]);
    succeed(list);
    list.addRemote(remote("203.0.113.3", { priority: 2, ...same }));
    expect(shown(list)).toEqual(["0 203.0.113.1 succeeded", "0 203.0.113.3 waiting", "0 203.0.113.2 waiting"]);
  });

  test("what was triggered goes first, in its order, once (§6.1.4.1)", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    for (const priority of [4, 3, 2, 1]) list.addRemote(remote(`203.0.113.${priority}`, { priority }));
    const [, second, third] = list.pairs as CandidatePair[];
    for (const pair of [third, second, third]) if (pair !== undefined) list.trigger(pair);
    const order: (string | undefined)[] = [];
    for (let pair = list.next(); pair !== undefined; pair = list.next()) {
      pair.state = "in-progress";
      order.push(pair.remote.endpoint.address.slice(-1));
    }
    expect(order).toEqual(["2", "3", "4", "1"]);
  });

  test("what has succeeded meanwhile is not checked, unless to nominate it", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    list.addRemote(remote("203.0.113.1"));
    const pair = succeed(list);
    list.trigger(pair);
    expect(list.next()).toBeUndefined();
    pair.nominated = true;
    list.trigger(pair);
    expect(list.next()).toBe(pair);
    list.controlling = false;
    expect(pair.nominated).toBe(false);
  });
});

describe("the best that works", () => {
  const relay = (priority: number) => remote(`203.0.113.${priority}`, { priority });

  test("by the valid pair: as what the peer sees us counts, not the base (§7.2.5.3.2)", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    const theirs = 2_000_000_000;
    for (const last of [1, 2]) list.addRemote(remote(`203.0.113.${last}`, { priority: theirs + last }));
    expect([list.best, list.isDecided]).toEqual([undefined, false]);
    const [high, low] = list.pairs as [CandidatePair, CandidatePair];
    list.succeed(high, { ...high.local, priority: candidatePriority("srflx", 1) }, 1);
    expect([list.best, list.isDecided]).toEqual([high, false]);
    list.succeed(low, low.local, 1);
    expect([list.best, list.isDecided]).toEqual([low, true]);
  });

  test("decided as soon as nothing open could beat it", () => {
    const list = new Checklist([local("10.0.0.1")], true);
    for (const priority of [3, 2, 1]) list.addRemote(relay(priority));
    const [high, middle] = list.pairs as [CandidatePair, CandidatePair, CandidatePair];
    list.succeed(middle, middle.local, undefined);
    expect(list.isDecided).toBe(false);
    high.state = "failed";
    expect(list.isDecided).toBe(true);
  });
});

describe("peer-reflexive candidates (§7.3.1.3)", () => {
  const own = local("10.0.0.1");
  const endpoint = { address: "198.51.100.6", port: 40_000 };

  test("an address that nobody told, with the priority that its check claims, each a foundation of its own", () => {
    const list = new Checklist([own], false);
    const one = list.reveal(own, endpoint, 77);
    const other = list.reveal(own, { ...endpoint, port: 40_001 }, 78);
    expect(one?.remote).toEqual({ type: "prflx", foundation: "prflx 1", priority: 77, endpoint });
    expect(other?.remote.foundation).toBe("prflx 2");
    expect(list.reveal(own, endpoint, 1)).toBe(one as CandidatePair);
  });

  test("is not paired with the other sockets", () => {
    const list = new Checklist([own, local("10.0.0.1", { socket: 1 })], false);
    list.reveal(own, endpoint, 77);
    expect(shown(list)).toEqual(["0 198.51.100.6 frozen"]);
  });

  test("told later: type, priority and foundation are what was told, and what was tried stays", () => {
    const list = new Checklist([own], false);
    const pair = list.reveal(own, endpoint, 1) as CandidatePair;
    list.addRemote(remote("203.0.113.1", { priority: 2 }));
    list.succeed(pair, own, 12);
    const told = remote(endpoint.address, { port: endpoint.port, type: "srflx", foundation: "told", priority: 3 });
    list.addRemote(told);
    expect(list.pairs.map((one) => [one.remote, one.state, one.rttMs])).toEqual([
      [told, "succeeded", 12],
      [remote("203.0.113.1", { priority: 2 }), "waiting", undefined],
    ]);
  });

  test("a told address that a check comes from on another socket", () => {
    const list = new Checklist([own], false);
    const told = remote("203.0.113.1");
    list.addRemote(told);
    expect(list.reveal(local("192.168.0.1", { socket: 7 }), told.endpoint, 5)?.remote).toBe(told);
  });
});

describe("bounds", () => {
  const many = (count: number, from = 0) =>
    Array.from({ length: count }, (_, index) =>
      remote(`203.0.113.${1 + from + index}`, { priority: 1 + from + index }),
    );

  test("32 candidates that the peer tells and 32 that it reveals; neither takes room from the other", () => {
    const own = local("10.0.0.1");
    const list = new Checklist([own], true);
    const revealed = Array.from({ length: 1_000 }, (_, port) =>
      list.reveal(own, { address: "198.51.100.6", port: port + 1 }, 1),
    );
    expect(revealed.filter((pair) => pair !== undefined).length).toBe(32);
    const told = many(31).filter((one) => list.addRemote(one)).length;
    // One that was revealed and is told now leaves its room to another.
    expect(list.addRemote(remote("198.51.100.6", { port: 1 }))).toBe(true);
    expect([told, list.addRemote(remote("203.0.113.99")), list.pairs.length]).toEqual([31, false, 63]);
    expect(list.reveal(own, { address: "198.51.100.6", port: 2_000 }, 1)).toBeDefined();
    expect(list.reveal(own, { address: "198.51.100.6", port: 2_001 }, 1)).toBeUndefined();
  });

  test("100 pairs, the worst go (§6.1.2.5)", () => {
    const locals = [0, 1, 2, 3, 4].map((socket) => local(`10.0.0.${socket}`, { socket, rank: socket }));
    const list = new Checklist(locals, true);
    for (const one of many(32)) list.addRemote(one);
    expect(list.pairs.length).toBe(100);
    // Twenty of five pairs each: those of the highest priority.
    expect([...new Set(list.pairs.map((pair) => pair.remote.priority))]).toEqual(
      Array.from({ length: 20 }, (_, index) => 32 - index),
    );
  });

  test("what is tried, triggered or works is not pushed out by what is told later", () => {
    const locals = [0, 1, 2, 3, 4].map((socket) => local(`10.0.0.${socket}`, { socket, rank: socket }));
    const list = new Checklist(locals, true);
    for (const one of many(20)) list.addRemote(one);
    const [works, tried, triggered] = list.pairs.slice(-3) as [CandidatePair, CandidatePair, CandidatePair];
    list.succeed(works, works.local, 1);
    tried.state = "in-progress";
    list.trigger(triggered);
    for (const one of many(12, 20)) list.addRemote(one);
    expect(list.pairs.length).toBe(100);
    expect([works, tried, triggered].map((pair) => list.pairs.includes(pair))).toEqual([true, true, true]);
  });
});
