import { describe, expect, test } from "bun:test";
import type { PipePath } from "../../../../src/core/pipe/pipe.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { cut, PipePair, smooth } from "./pipe-pair.ts";

/** Datagrams from `end` every `everyMs`, numbered on from `first`; returns the next number. */
function stream(pair: PipePair, end: number, ms: number, everyMs = 10, first = 0): number {
  let number = first;
  for (const until = pair.now + ms; pair.now < until; pair.run(everyMs)) pair.send(end, numbered(number++));
  return number;
}

function numbers(pair: PipePair, end: 0 | 1): number[] {
  return pair.arrivals[end].map(({ payload }) => numberOf(payload)).sort((a, b) => a - b);
}

function range(end: number, from = 0): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}

/** What the pipes said, without rounding of clocks: `time end event`. */
function told(pair: PipePair): string[] {
  return pair.events.map(({ at, end, event }) => {
    const what =
      event.type === "route" ? event.route : event.type === "closed" ? event.reason : `${event.address.remote.port}`;
    return `${at} ${end} ${event.type} ${what}`;
  });
}

/** A pair whose traffic has been flowing directly for a second, with 10 ms there and 30 ms over the relay. */
function direct(): { pair: PipePair; sent: number } {
  const pair = new PipePair();
  pair.connect(smooth(10));
  return { pair, sent: stream(pair, 0, 1_000) };
}

describe("over the relay alone", () => {
  test("datagrams flow at once, with nothing beside them, and an idle pipe wants nothing", () => {
    const pair = new PipePair();
    const sent = stream(pair, 0, 1_000);
    pair.run(60_000);
    expect(numbers(pair, 1)).toEqual(range(sent));
    expect([pair.packets, pair.events]).toEqual([{ relay: sent, direct: 0 }, []]);
    expect(pair.pipe(0).counters).toEqual({
      ...{ sentRelay: 100, sentDirect: 0, sentBoth: 0, tooLarge: 0, receivedRelay: 0, receivedDirect: 0 },
      partsDropped: 0,
      refused: { malformed: 0, "wrong-session": 0, forged: 0, replayed: 0 },
    });
  });

  test("a closed pipe has told the other end, gives its numbers back and wants nothing any more", () => {
    const { pair } = direct();
    pair.close(0);
    pair.run(100);
    pair.send(0, numbered(1));
    pair.send(1, numbered(1));
    const { packets } = pair;
    expect(told(pair).slice(-1)).toEqual(["1010 1 closed done"]);
    expect([pair.sessions, pair.pipe(0).nextTimeout(0), pair.pipe(1).nextTimeout(0)]).toEqual([
      ...[[new Set<number>(), new Set<number>()], Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ] as never);
    pair.run(30_000);
    expect(pair.packets).toEqual(packets);
  });
});

describe("make before break", () => {
  test("traffic moves to the direct path once it was proven, without loss and without a repetition", () => {
    const pair = new PipePair();
    let sent = stream(pair, 0, 500);
    pair.connect(smooth(10));
    sent = stream(pair, 0, 1_000, 10, sent);
    pair.run(100);
    expect(numbers(pair, 1)).toEqual(range(sent));
    expect(told(pair).filter((line) => line.includes(" 0 "))).toEqual(["520 0 direct-up 2000", "520 0 route direct"]);
    const { sentRelay, sentDirect, sentBoth } = pair.pipe(0).counters;
    expect([sentRelay + sentDirect, sentBoth]).toEqual([sent, 0]);
  });

  test("a direct path that is the longer way is not taken", () => {
    const pair = new PipePair();
    pair.connect(smooth(60));
    stream(pair, 0, 20_000, 100);
    expect([pair.pipe(0).route, pair.pipe(0).direct?.remote.port]).toEqual(["relay", 2_000]);
    expect(pair.pipe(0).counters.sentDirect).toBe(0);
  });

  test("one that becomes the longer way is left, once and without a loss", () => {
    const { pair, sent } = direct();
    pair.run(6_000);
    pair.direct = smooth(80);
    const all = stream(pair, 0, 40_000, 50, sent);
    pair.run(1_000);
    expect(numbers(pair, 1)).toEqual(range(all));
    const routes = told(pair).filter((line) => / 0 route/.test(line));
    expect(routes.map((line) => line.split(" ").at(-1))).toEqual(["direct", "both", "direct", "relay"]);
  });

  test("p2p.prefer has the last word, but not over a path that is silent", () => {
    const pair = new PipePair({ prefer: "relay" });
    pair.connect(smooth(1));
    let sent = stream(pair, 0, 5_000, 50);
    expect(pair.pipe(0).counters.sentDirect).toBe(0);
    pair.relay = cut;
    const at = sent;
    sent = stream(pair, 0, 5_000, 50, sent);
    expect(pair.pipe(0).route).toBe("both");
    const lost = range(sent).filter((number) => !numbers(pair, 1).includes(number));
    expect(lost.every((number) => number >= at - 1 && number <= at + 1_500 / 50)).toBe(true);
  });
});

describe("a direct path that goes", () => {
  test("silent for 1.5 s: everything goes both ways; for 3 s: it is down; lost is only what was sent before", () => {
    const { pair, sent } = direct();
    pair.direct = cut;
    const end = stream(pair, 0, 5_000, 10, sent);
    pair.run(100);
    const missing = range(end).filter((number) => !numbers(pair, 1).includes(number));
    expect(missing[0]).toBe(sent);
    expect(missing.at(-1)).toBeLessThanOrEqual(sent + 150);
    const since = told(pair).filter((line) => / 0 /.test(line) && Number(line.split(" ")[0]) > 1_000);
    expect(since.map((line) => line.split(" ").slice(2).join(" "))).toEqual([
      ...["route both", "direct-down 2000", "route relay"],
    ]);
    expect(since.map((line) => Number(line.split(" ")[0]) <= 4_000)).toEqual([true, true, true]);
  });

  test("an idle one is noticed by its keepalives, three of them unanswered", () => {
    const { pair } = direct();
    pair.run(10_000);
    pair.direct = cut;
    const before = pair.packets.direct;
    pair.run(20_000);
    const downs = pair.events.filter(({ event }) => event.type === "direct-down");
    expect(downs.map(({ end }) => end).sort()).toEqual([0, 1]);
    // Three keepalives of each end, and nothing over the relay for a pipe that rests.
    expect(pair.packets.direct - before).toBe(6);
  });

  test("after a rest datagrams go both ways until the direct path has answered", () => {
    const { pair, sent } = direct();
    pair.run(10_000);
    pair.direct = cut;
    const end = stream(pair, 0, 4_000, 10, sent);
    pair.run(100);
    expect(numbers(pair, 1)).toEqual(range(end));
  });

  test("the owner knows sooner: nothing is lost", () => {
    const { pair, sent } = direct();
    pair.run(20);
    pair.direct = cut;
    for (const end of [0, 1]) pair.pipe(end).dropDirect(pair.now, 0);
    const end = stream(pair, 0, 1_000, 10, sent);
    pair.run(100);
    expect(numbers(pair, 1)).toEqual(range(end));
    expect(pair.pipe(0).direct).toBeUndefined();
  });

  test("a socket that is not its own does not concern it", () => {
    const { pair } = direct();
    pair.pipe(0).dropDirect(pair.now, 7);
    expect([pair.pipe(0).direct?.remote.port, pair.pipe(0).route]).toEqual([2_000, "direct"]);
  });

  test("one that comes and goes is trusted less each time", () => {
    const pair = new PipePair();
    const taken: number[] = [];
    for (let round = 0; round < 6; round++) {
      pair.connect(smooth(10));
      const from = pair.now;
      stream(pair, 0, 80_000, 250);
      const event = pair.events.findLast((one) => one.end === 0 && one.event.type === "route" && one.at >= from);
      taken.push(Math.round(((event?.at ?? 0) - from) / 1_000));
      pair.direct = cut;
      stream(pair, 0, 4_000, 250);
    }
    // Each was kept for long enough to start over: five seconds after it was left, of which it was dead for one.
    expect(taken).toEqual([0, 4, 4, 4, 4, 4]);

    const flapping = new PipePair();
    let moves = 0;
    for (let round = 0; round < 60; round++) {
      flapping.connect(smooth(10));
      stream(flapping, 0, 2_000, 250);
      flapping.direct = cut;
      stream(flapping, 0, 4_000, 250);
    }
    for (const { end, event } of flapping.events)
      if (end === 0 && event.type === "route" && event.route === "direct") moves += 1;
    expect(moves).toBeLessThanOrEqual(10);
  });
});

describe("an address that changes", () => {
  test.each([0, 1])(
    "the NAT of end %i gives it another port: the path follows, and nobody is without for long",
    (moved) => {
      const { pair, sent } = direct();
      pair.rebind(moved);
      let number = sent;
      for (const until = pair.now + 6_000; pair.now < until; pair.run(10)) {
        pair.send(0, numbered(number));
        pair.send(1, numbered(number++));
      }
      pair.run(100);
      for (const end of [0, 1] as const) {
        const missing = range(number, sent).filter((one) => !numbers(pair, end).includes(one));
        expect(missing.length * 10).toBeLessThanOrEqual(1_600);
      }
      // The one whose address changed has not noticed anything; the other one has its new address.
      expect([pair.pipe(moved).direct, pair.pipe(1 - moved).direct?.remote]).toEqual([
        { socket: 0, remote: pair.remote(moved) },
        pair.remote(1 - moved),
      ]);
      expect(pair.events.filter(({ event }) => event.type === "direct-down")).toEqual([]);
    },
  );

  const mallory: PipePath = { socket: 0, remote: { address: "198.51.100.66", port: 666 } };

  test("who passes on what he saw, first and from his own address, gets no traffic while the old path answers", () => {
    const { pair, sent } = direct();
    let stolen = 0;
    // He forwards everything in both directions, faster than the path does, and holds nothing back.
    pair.onPacket = (from, path, packet) => {
      if (path === "relay") return true;
      if (path.remote.address === mallory.remote.address) stolen += packet.length > 40 ? 1 : 0;
      pair.deliver(1 - from, mallory, packet);
      return path.remote.address !== mallory.remote.address;
    };
    const number = stream(pair, 0, 10_000, 20, sent);
    pair.run(100);
    expect(numbers(pair, 1)).toEqual(range(number));
    expect([stolen, pair.pipe(0).direct?.remote.port, pair.pipe(1).direct?.remote.port]).toEqual([0, 2_000, 1_000]);
  });

  test("what is repeated from anywhere is answered by nothing and keeps no dead path alive", () => {
    const { pair } = direct();
    const seen: Uint8Array[] = [];
    pair.onPacket = (from, path, packet) => {
      if (from === 1 && path !== "relay") seen.push(packet);
      return true;
    };
    pair.run(3_000);
    stream(pair, 0, 1_000);
    pair.direct = cut;
    const { direct: before } = pair.packets;
    for (let i = 0; i < 20; i++) {
      for (const packet of seen.slice()) {
        pair.deliver(0, { socket: 0, remote: pair.remote(0) }, packet);
        pair.deliver(0, mallory, packet);
      }
      stream(pair, 0, 200);
    }
    expect([pair.pipe(0).direct, pair.pipe(0).route]).toEqual([undefined, "relay"]);
    expect(pair.events.some(({ event }) => "address" in event && event.address.remote.port === 666)).toBe(false);
    expect(pair.packets.direct - before).toBeLessThan(400);
  });

  test("an address that says nothing gets seven small challenges", () => {
    const pair = new PipePair();
    pair.tryDirect(0);
    stream(pair, 0, 10_000);
    expect(pair.packets.direct).toBe(7);
    expect(pair.pipe(0).nextTimeout(pair.now)).toBeGreaterThan(60_000);
  });
});

describe("path size", () => {
  const narrow = (limit: number) => (bytes: number) => (bytes <= limit ? [10] : []);

  test.each([
    [1_500, 1_472],
    [1_450, 1_444],
    [1_300, 1_280],
    [1_200, 1_200],
  ])("a path of %i bytes is used up to %i", (limit, found) => {
    const pair = new PipePair();
    pair.connect(narrow(limit));
    stream(pair, 0, 3_000);
    expect(pair.pipe(0).directBytes).toBe(found - 31);
  });

  test("a larger datagram goes in halves, and one whose halves are too large over the relay", () => {
    const pair = new PipePair();
    pair.connect(narrow(1_200));
    stream(pair, 0, 3_000);
    pair.arrivals[1].length = 0;
    const { tooLarge } = pair.pipe(0).counters;
    for (const length of [1_169, 1_170, 2_328, 2_329, 9_000]) pair.send(0, numbered(length, length));
    pair.run(100);
    expect(pair.arrivals[1].map(({ payload, path }) => [payload.length, path])).toEqual([
      [1_169, "direct"],
      [1_170, "direct"],
      [2_328, "direct"],
      [2_329, "relay"],
      [9_000, "relay"],
    ]);
    expect(
      pair.arrivals[1].every(({ payload }) => Buffer.compare(payload, numbered(payload.length, payload.length)) === 0),
    ).toBe(true);
    expect(pair.pipe(0).counters.tooLarge - tooLarge).toBe(2);
  });

  test("a path that comes to take less is noticed within four seconds, while small datagrams pass", () => {
    const pair = new PipePair();
    pair.connect(narrow(1_500));
    stream(pair, 0, 3_000);
    pair.direct = narrow(1_300);
    stream(pair, 0, 4_000);
    pair.arrivals[1].length = 0;
    pair.send(0, numbered(1, 1_400));
    pair.run(100);
    expect(pair.arrivals[1].map(({ payload }) => payload.length)).toEqual([1_400]);
    stream(pair, 0, 3_000);
    expect([pair.pipe(0).directBytes, pair.pipe(0).route]).toEqual([1_280 - 31, "direct"]);
  });

  test("nothing is tried on a path that rests", () => {
    const pair = new PipePair();
    pair.connect(smooth(10));
    pair.run(14_000);
    expect(pair.packets).toEqual({ relay: 4, direct: 4 });
  });
});
