import { describe, expect, test } from "bun:test";
import { GIVE_UP_MS, LATE_MS } from "../../../../src/core/tunnel/loss-ledger.ts";
import type { SessionOptions } from "../../../../src/core/tunnel/session.ts";
import { Random } from "../../../random.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";
import { calm, DIRECTIONS, expectBalance, pairOf, traffic, weather } from "./session-weather.ts";

describe("on lanes that live", () => {
  test("everything arrives once, and unchanged", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const pair = pairOf(random);
      traffic(pair, random, 300);
      pair.settle();
      for (const direction of DIRECTIONS) {
        const { in: entered } = pair.balance(direction);
        const got = [...pair.delivered[direction]].sort((a, b) => a - b);
        expect({ seed, direction, got }).toEqual({
          seed,
          direction,
          got: Array.from({ length: entered }, (_, i) => i + 1),
        });
      }
      expectBalance(pair, seed);
    }
  });

  test("with resequencing it arrives in the order in which it came in", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const pair = pairOf(random, { reorderMs: 1e9 });
      // What leaves before the first hello_ack has no number, and so no order.
      pair.settle();
      traffic(pair, random, 300);
      pair.settle();
      for (const direction of DIRECTIONS) {
        const got = pair.delivered[direction];
        expect({ seed, direction, got }).toEqual({ seed, direction, got: [...got].sort((a, b) => a - b) });
        expect(got.length).toBe(pair.balance(direction).in);
      }
    }
  });

  test("a lane whose hello_ack is slow loses nothing to the lanes that were faster", () => {
    for (const reorderMs of [0, 50]) {
      const random = new Random(1);
      const pair = pairOf(random, { reorderMs }, 2);
      pair.settle();
      const slow = pair.open(2);
      pair.deliver(slow, "server");
      // The server takes the new lane into its turn at once; its ack and its data are on their way.
      for (let i = 0; i < 9; i++) {
        pair.offer("down");
        pair.pump("down");
      }
      for (const link of pair.links.slice(0, 2)) {
        pair.drain(link.server, true);
        pair.deliver(link, "client");
      }
      pair.now += LATE_MS * 3;
      pair.timeouts();
      pair.settle();
      expect([...pair.delivered.down].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expectBalance(pair, 1);
    }
  });
});

describe("on lanes that die", () => {
  const kinds: [string, Partial<SessionOptions>][] = [
    ["in the order of arrival", {}],
    ["resequenced", { reorderMs: 30 }],
    ["by hash", { pick: "hash", reorderMs: 30 }],
    ["through a short queue", { queue: { maxPackets: 12, maxBytes: 65_536, maxDelayMs: 0, targetMs: 0 } }],
    ["through a queue with a delay limit", { queue: { ...SESSION_SETTINGS.queue, maxDelayMs: 20 } }],
    ["through a queue that is thinned out", { queue: { ...SESSION_SETTINGS.queue, targetMs: 2 }, reorderMs: 10 }],
    ["in small batches", { batchBytes: 1 }],
  ];
  for (const [what, settings] of kinds) {
    test(`${what}: in = out + dropped + queued, nothing twice`, () => {
      for (let seed = 1; seed <= 25; seed++) {
        const random = new Random(seed);
        const pair = pairOf(random, settings);
        weather(pair, random, 60);
        // By hash some lanes never carry anything, and hold the floor for as long as that goes on.
        calm(pair, settings.pick === "hash" ? GIVE_UP_MS : LATE_MS);
        expectBalance(pair, seed);
      }
    });
  }

  test("what a dead lane's socket never took arrives over another", () => {
    for (const reorderMs of [0, 50]) {
      const pair = pairOf(new Random(3), { reorderMs }, 3);
      pair.settle();
      const [first] = pair.links;
      if (first === undefined) throw new Error("three lanes were opened");
      first.client.lane.writable = true;
      // Fill the first lane's outbox without its socket taking a byte.
      for (let i = 0; i < 10; i++) pair.offer("up");
      while (first.client.lane.pendingBytes === 0) {
        const lane = pair.client.nextBatch(pair.now);
        if (lane === undefined) break;
        if (lane !== first.client.lane) pair.flush(pair.links[lane.id]!.client, true);
      }
      for (let i = 0; i < 10; i++) pair.offer("up");
      pair.pump("up");
      pair.settle();
      pair.cutBoth(first);
      pair.pump("up");
      pair.settle();
      expect([...pair.delivered.up].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
      calm(pair);
      expect(pair.balance("up").drops).toEqual({});
    }
  });
});

describe("a server that forgets", () => {
  test("the session goes on under a new epoch, and nothing is lost but what was on its way", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const pair = pairOf(random, { reorderMs: random.pick([0, 30]) });
      weather(pair, random, 20);
      calm(pair);
      // Datagrams wait at both ends, some of them in outboxes, when the server drops the session.
      for (let i = 0; i < 20; i++) {
        pair.offer("up");
        pair.offer("down");
      }
      const { server } = pair;
      if (server === undefined) throw new Error("the server has no session");
      for (const link of [...pair.links]) pair.cutBoth(link);
      pair.table.remove(server, []);
      calm(pair);
      weather(pair, random, 20);
      calm(pair);
      expect(pair.client.epoch).toBe(pair.server?.epoch ?? -1);
      expectBalance(pair, seed);
    }
  });
});
