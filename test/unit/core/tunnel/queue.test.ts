import { describe, expect, test } from "bun:test";
import { DirectionCounters, type DropReason } from "../../../../src/core/tunnel/counters.ts";
import { HANDSHAKE_PACKETS, Queue, type QueueLimits } from "../../../../src/core/tunnel/queue.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { cookieReply, initiation, response } from "./wireguard-messages.ts";

const ROOMY: QueueLimits = { maxPackets: 4096, maxBytes: 8 * 1024 * 1024, maxDelayMs: 0, targetMs: 0 };

/** A queue, its counters, and short ways to fill and read it. */
class Bench {
  readonly counters = new DirectionCounters();
  readonly queue: Queue;

  constructor(limits: Partial<QueueLimits> = {}) {
    this.queue = new Queue({ ...ROOMY, ...limits }, this.counters);
  }

  push(now: number, ...numbers: number[]): number {
    return numbers.reduce((dropped, number) => dropped + this.queue.push(now, numbered(number)), 0);
  }

  /** Take out everything, in order. */
  drain(now = 0): number[] {
    const numbers: number[] = [];
    for (let next = this.queue.peek(now); next !== undefined; next = this.queue.peek(now)) {
      numbers.push(numberOf(next));
      this.queue.shift(now);
    }
    return numbers;
  }

  /** Drops that are not zero. */
  get drops(): Partial<Record<DropReason, number>> {
    return Object.fromEntries(Object.entries(this.counters.drops).filter(([, count]) => count > 0));
  }

  get state(): { packets: number; bytes: number } {
    return { packets: this.queue.packets, bytes: this.queue.bytes };
  }
}

function upTo(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

describe("order and size", () => {
  test("first in, first out, and an empty queue says so", () => {
    const bench = new Bench();
    expect([bench.queue.peek(0), bench.queue.oldestMs(5), bench.state]).toEqual([
      undefined,
      0,
      { packets: 0, bytes: 0 },
    ]);
    expect(bench.push(0, 1, 2, 3)).toBe(0);
    expect(bench.state).toEqual({ packets: 3, bytes: 24 });
    expect(bench.drain()).toEqual([1, 2, 3]);
    expect([bench.state, bench.drops]).toEqual([{ packets: 0, bytes: 0 }, {}]);
  });

  test("a datagram is kept, not copied", () => {
    const { queue } = new Bench();
    const datagram = numbered(1);
    queue.push(0, datagram);
    expect(queue.peek(0)).toBe(datagram);
  });

  test("looking takes nothing away; taking says how long it waited", () => {
    const bench = new Bench();
    bench.push(10, 1);
    bench.push(14, 2);
    expect([bench.queue.peek(15), bench.queue.peek(15)].map((seen) => numberOf(seen!))).toEqual([1, 1]);
    expect([bench.queue.oldestMs(15), bench.queue.shift(15), bench.queue.oldestMs(15), bench.queue.shift(20)]).toEqual([
      5, 5, 1, 6,
    ]);
  });

  test("datagrams without bytes count as packets", () => {
    const { queue } = new Bench({ maxPackets: 2, maxBytes: 65_536 });
    const dropped = [0, 1, 2].map(() => queue.push(0, new Uint8Array(0)));
    expect([dropped, queue.packets, queue.bytes, queue.peek(0)]).toEqual([[0, 0, 1], 2, 0, new Uint8Array(0)]);
  });

  test("the ring grows and wraps without losing its order", () => {
    const bench = new Bench({ maxPackets: 300 });
    const seen: number[] = [];
    const take = (count: number) => {
      for (let i = 0; i < count; i++) {
        seen.push(numberOf(bench.queue.peek(0)!));
        bench.queue.shift(0);
      }
    };
    // The head stands in the middle of the ring each time it has to grow: at 64, 128, 256 and 300.
    bench.push(0, ...upTo(64));
    take(40);
    bench.push(0, ...upTo(100, 64));
    take(50);
    bench.push(0, ...upTo(226, 164));
    expect([bench.queue.packets, bench.push(0, 390)]).toEqual([300, 1]);
    take(200);
    bench.push(0, ...upTo(150, 391));
    seen.push(...bench.drain());
    // 90 had left when the ring was full, so 90 is the one that was dropped.
    expect(seen).toEqual([...upTo(90), ...upTo(541 - 91, 91)]);
    expect(bench.drops).toEqual({ oldest: 1 });
  });
});

describe("limits", () => {
  test("one packet too many costs exactly the oldest", () => {
    const bench = new Bench({ maxPackets: 3 });
    expect([bench.push(0, 1, 2, 3), bench.push(0, 4), bench.push(0, 5)]).toEqual([0, 1, 1]);
    expect([bench.state, bench.drain(), bench.drops]).toEqual([{ packets: 3, bytes: 24 }, [3, 4, 5], { oldest: 2 }]);
  });

  test("the seed's limits: 4096 packets, the 4097th costs the first", () => {
    const bench = new Bench();
    expect(bench.push(0, ...upTo(4096))).toBe(0);
    expect(bench.push(0, 4096)).toBe(1);
    expect(bench.drain()).toEqual(upTo(4096, 1));
  });

  test("a queue of one keeps the newest", () => {
    const bench = new Bench({ maxPackets: 1 });
    expect([bench.push(0, 1), bench.push(0, 2), bench.push(0, 3)]).toEqual([0, 1, 1]);
    expect([bench.drain(), bench.drops]).toEqual([[3], { oldest: 2 }]);
    expect([bench.push(0, 4), bench.drain()]).toEqual([0, [4]]);
  });

  test("a byte too many costs the oldest, as many as it takes", () => {
    const { queue, counters } = new Bench({ maxBytes: 100 });
    const dropped = [40, 40, 20, 1, 81, 100].map((length, i) => queue.push(0, numbered(i, length)));
    // 20 more fit exactly; 4 (the shortest here) cost the first; 81 cost all but 4 bytes; 100 cost all.
    expect(dropped).toEqual([0, 0, 0, 1, 2, 2]);
    expect([queue.packets, queue.bytes, counters.drops.oldest]).toEqual([1, 100, 5]);
  });

  test("a datagram larger than the whole queue replaces everything, since fresh is worth more", () => {
    const { queue } = new Bench({ maxBytes: 100 });
    expect([queue.push(0, numbered(1, 50)), queue.push(0, numbered(2, 50)), queue.push(0, numbered(3, 101))]).toEqual([
      0, 0, 2,
    ]);
    expect([queue.packets, queue.bytes]).toEqual([1, 101]);
    expect([queue.push(0, numbered(4, 4)), queue.packets, queue.bytes]).toEqual([1, 1, 4]);
  });
});

describe("handshakes", () => {
  test("leave before all that is older", () => {
    const { queue } = new Bench();
    const order = [numbered(1), initiation(), numbered(2), response(), cookieReply()];
    for (const datagram of order) queue.push(0, datagram);
    const seen: (Uint8Array | undefined)[] = [];
    for (let i = 0; i < order.length; i++) {
      seen.push(queue.peek(0));
      queue.shift(0);
    }
    expect(seen).toEqual([order[1], order[3], order[4], order[0], order[2]]);
  });

  test("bulk cannot push them out, and they push out no bulk", () => {
    const bench = new Bench({ maxPackets: 2, maxBytes: 65_536 });
    bench.queue.push(0, initiation());
    expect([bench.push(0, 1, 2), bench.push(0, 3), bench.queue.push(0, response())]).toEqual([0, 1, 0]);
    expect(bench.state).toEqual({ packets: 4, bytes: 148 + 92 + 16 });
    expect(bench.drops).toEqual({ oldest: 1 });
  });

  test("the 65th costs the oldest of them", () => {
    const bench = new Bench();
    const own = Array.from({ length: HANDSHAKE_PACKETS + 3 }, (_, i) => initiation().fill(i, 4, 5));
    const dropped = own.map((datagram) => bench.queue.push(0, datagram));
    expect(dropped).toEqual([...Array(64).fill(0), 1, 1, 1]);
    expect([bench.state, bench.drops]).toEqual([{ packets: 64, bytes: 64 * 148 }, { oldest: 3 }]);
    expect(bench.queue.peek(0)).toEqual(own[3]);
  });

  test("what the next one waited is what is told", () => {
    const bench = new Bench();
    bench.push(0, 1);
    bench.queue.push(7, initiation());
    expect([bench.queue.oldestMs(10), bench.queue.shift(10), bench.queue.oldestMs(10)]).toEqual([3, 3, 10]);
  });
});

describe("age", () => {
  test("max_delay drops what has waited longer, not what has waited just as long", () => {
    const bench = new Bench({ maxDelayMs: 50 });
    bench.push(0, 1);
    bench.push(10, 2);
    bench.queue.push(10, initiation());
    bench.push(11, 3);
    expect([bench.queue.peek(50), bench.state.packets, bench.drops]).toEqual([initiation(), 4, {}]);
    expect([bench.queue.peek(60), bench.drops]).toEqual([initiation(), { delay: 1 }]);
    expect([numberOf(bench.queue.peek(61)!), bench.drops, bench.drain(61)]).toEqual([3, { delay: 3 }, [3]]);
  });

  test("max_delay of 0 never drops", () => {
    const bench = new Bench();
    bench.push(0, 1);
    expect(bench.drain(1e12)).toEqual([1]);
  });

  test("what is older than a given moment goes under the given reason", () => {
    const bench = new Bench();
    bench.push(0, 1);
    bench.queue.push(1, initiation());
    bench.push(5, 2, 3);
    expect([bench.queue.dropOlderThan(5, "stale"), bench.drops, bench.state.packets]).toEqual([2, { stale: 2 }, 2]);
    expect([bench.queue.dropOlderThan(Number.POSITIVE_INFINITY, "closed"), bench.drops, bench.state]).toEqual([
      2,
      { stale: 2, closed: 2 },
      { packets: 0, bytes: 0 },
    ]);
  });
});

describe("thinning (CoDel)", () => {
  test("a burst passes untouched, a queue that stands over the target for 100 ms loses its head", () => {
    const bench = new Bench({ targetMs: 10 });
    bench.push(0, ...upTo(50));
    bench.queue.thin(5);
    bench.queue.thin(20);
    expect([bench.state.packets, bench.drops]).toEqual([50, {}]);
    bench.queue.thin(119);
    expect(bench.drops).toEqual({});
    bench.queue.thin(120);
    expect([bench.state.packets, bench.drops, numberOf(bench.queue.peek(120)!)]).toEqual([49, { codel: 1 }, 1]);
  });

  test("the last datagram is never dropped, and handshakes never are", () => {
    const bench = new Bench({ targetMs: 10 });
    bench.push(0, 1);
    for (const at of [20, 200, 2_000]) bench.queue.thin(at);
    bench.push(0, 2);
    bench.queue.push(0, initiation());
    for (const at of [3_000, 4_000, 5_000]) bench.queue.thin(at);
    expect([bench.state.packets, bench.drops]).toEqual([3, {}]);
  });

  test("a target of 0 never thins out", () => {
    const bench = new Bench();
    bench.push(0, ...upTo(50));
    for (let at = 0; at < 10_000; at += 50) bench.queue.thin(at);
    expect(bench.drops).toEqual({});
  });
});
