import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import {
  CHANNEL_PACKETS,
  CHANNELS_BYTES,
  ChannelQueues,
  MAX_CHANNELS,
  TUNNEL,
} from "../../../../src/core/tunnel/channels.ts";
import { ChannelCounters, type ChannelDropReason } from "../../../../src/core/tunnel/counters.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { Random } from "../../../random.ts";

class Bench {
  readonly counters = new ChannelCounters();
  readonly queues = new ChannelQueues(this.counters);

  push(channel: number, ...numbers: number[]): void {
    for (const number of numbers) this.queues.push(0, channel, numbered(number));
  }

  /** `channel:number` of the next `count` that leave, or of all. */
  leave(count = Number.POSITIVE_INFINITY): string[] {
    const left: string[] = [];
    for (let turn = this.queues.turn(-1); turn !== undefined && left.length < count; turn = this.queues.turn(-1)) {
      left.push(`${turn}:${numberOf(this.queues.peek(turn) as Uint8Array)}`);
      this.queues.shift(turn);
    }
    return left;
  }

  get drops(): Partial<Record<ChannelDropReason, number>> {
    return Object.fromEntries(Object.entries(this.counters.drops).filter(([, count]) => count > 0));
  }
}

describe("a channel's queue", () => {
  test("keeps its order", () => {
    const bench = new Bench();
    bench.push(7, 1, 2, 3);
    expect(bench.leave()).toEqual(["7:1", "7:2", "7:3"]);
    expect(bench.counters).toMatchObject({ inPackets: 3, inBytes: 24, outPackets: 3, outBytes: 24 });
    expect([bench.queues.packets, bench.queues.bytes]).toEqual([0, 0]);
  });

  test("full: its own oldest goes, and nobody else's", () => {
    const bench = new Bench();
    bench.push(1, 1);
    for (let number = 0; number < CHANNEL_PACKETS; number++) bench.push(2, number);
    expect(bench.queues.push(0, 2, numbered(CHANNEL_PACKETS))).toBe(1);
    expect([bench.queues.packetsOf(1), bench.queues.packetsOf(2)]).toEqual([1, CHANNEL_PACKETS]);
    expect([bench.drops, numberOf(bench.queues.peek(2) as Uint8Array)]).toEqual([{ oldest: 1 }, 1]);
  });

  test("takes what fits a PDU", () => {
    const bench = new Bench();
    expect(bench.queues.push(0, 1, new Uint8Array(65_531))).toBe(0);
    expect(bench.queues.push(0, 1, new Uint8Array(65_532))).toBe(-1);
    expect([bench.drops, bench.counters.inPackets, bench.queues.packets]).toEqual([{ too_large: 1 }, 2, 1]);
  });

  test("of an empty datagram is a queue, too", () => {
    const bench = new Bench();
    bench.queues.push(0, 1, new Uint8Array(0));
    expect(bench.queues.turn(-1)).toBe(1);
    bench.queues.shift(1);
    expect([bench.queues.turn(-1), bench.counters.outPackets]).toEqual([undefined, 1]);
  });
});

describe("all channels of a session", () => {
  test("hold so many bytes: the channel that holds most gives its oldest", () => {
    const bench = new Bench();
    const size = 32 * 1024;
    bench.push(1, 1);
    bench.queues.push(0, 2, new Uint8Array(size));
    for (let held = 0; held < CHANNELS_BYTES / size - 2; held++) bench.queues.push(0, 3, new Uint8Array(size));
    expect(bench.drops).toEqual({});
    expect(bench.queues.push(0, 2, new Uint8Array(size))).toBe(1);
    expect([1, 2, 3].map((channel) => bench.queues.packetsOf(channel))).toEqual([1, 2, CHANNELS_BYTES / size - 3]);
    expect(bench.queues.bytes).toBeLessThanOrEqual(CHANNELS_BYTES);
    expect(bench.drops).toEqual({ oldest: 1 });
  });

  test("are so many; one that is empty makes room", () => {
    const bench = new Bench();
    for (let channel = 1; channel <= MAX_CHANNELS; channel++) bench.push(channel, channel);
    expect(bench.queues.push(0, 1_000, numbered(1))).toBe(-1);
    expect(bench.drops).toEqual({ too_many: 1 });
    expect(bench.leave(1)).toEqual(["1:1"]);
    expect(bench.queues.push(0, 1_000, numbered(2))).toBe(0);
    expect(bench.leave().at(-1)).toBe("1000:2");
    expect(bench.counters).toMatchObject({ inPackets: MAX_CHANNELS + 2, outPackets: MAX_CHANNELS + 1 });
  });

  test("drop by age, all or one", () => {
    const bench = new Bench();
    for (const [at, channel] of [
      [0, 1],
      [10, 2],
      [20, 1],
    ] as const)
      bench.queues.push(at, channel, numbered(at));
    expect(bench.queues.oldestMs(30)).toBe(30);
    expect(bench.queues.dropOlderThan(10, "stale")).toBe(1);
    expect(bench.queues.oldestMs(30)).toBe(20);
    expect(bench.queues.dropOlderThan(NEVER, "closed", 2)).toBe(1);
    expect(bench.drops).toEqual({ stale: 1, closed: 1 });
    expect(bench.leave()).toEqual(["1:20"]);
    expect(bench.queues.oldestMs(30)).toBe(0);
  });
});

describe("turns", () => {
  /** Bytes that each flow got of the first `bytes`, as shares; all have always something to send. */
  function shares(sizes: ReadonlyMap<number, () => number>, bytes: number): Map<number, number> {
    const queues = new ChannelQueues(new ChannelCounters());
    const got = new Map([...sizes.keys()].map((channel) => [channel, 0]));
    const tunnelSize = sizes.get(TUNNEL);
    let tunnelHead = tunnelSize?.() ?? -1;
    const refill = (channel: number) => {
      const size = sizes.get(channel);
      if (channel !== TUNNEL && size !== undefined) queues.push(0, channel, new Uint8Array(size()));
    };
    for (const channel of sizes.keys()) for (let i = 0; i < 3; i++) refill(channel);
    for (let sent = 0; sent < bytes; ) {
      const turn = queues.turn(tunnelHead) ?? -1;
      const length = turn === TUNNEL ? tunnelHead : (queues.peek(turn)?.length ?? 0);
      if (turn === TUNNEL) {
        queues.spend(length);
        tunnelHead = tunnelSize?.() ?? -1;
      } else {
        queues.shift(turn);
        refill(turn);
      }
      got.set(turn, (got.get(turn) ?? 0) + length + 13);
      sent += length + 13;
    }
    const all = [...got.values()].reduce((sum, count) => sum + count, 0);
    return new Map([...got].map(([channel, count]) => [channel, count / all]));
  }

  test("are fair in bytes within a hundredth, whatever the sizes", () => {
    const random = new Random(1);
    const sizes = new Map([
      [TUNNEL, () => 1_420],
      [1, () => 100],
      [2, () => 1_200],
      [3, () => 9_000],
      [4, () => random.below(65_531)],
    ]);
    const got = shares(sizes, 50_000_000);
    for (const [channel, share] of got) expect([channel, Math.abs(share - 0.2) < 0.002]).toEqual([channel, true]);
  });

  test("of 64 channels and the tunnel: each has its 65th", () => {
    const sizes = new Map(Array.from({ length: MAX_CHANNELS + 1 }, (_, channel) => [channel, () => 1_280] as const));
    for (const share of shares(sizes, 20_000_000).values()) expect(Math.abs(share * 65 - 1)).toBeLessThan(0.01);
  });

  test("a quiet channel waits one round for its turn, however much the busy ones have", () => {
    const bench = new Bench();
    for (let i = 0; i < CHANNEL_PACKETS; i++) {
      bench.queues.push(0, 1, new Uint8Array(1_200));
      bench.queues.push(0, 2, new Uint8Array(1_200));
    }
    bench.leave(100);
    bench.push(3, 1);
    expect(bench.leave(5).includes("3:1")).toBe(true);
  });

  test("the tunnel saves nothing up while it is silent", () => {
    const queues = new ChannelQueues(new ChannelCounters());
    for (let i = 0; i < 400; i++) queues.push(0, 1, new Uint8Array(1_000));
    for (let i = 0; i < 300; i++) {
      expect(queues.turn(-1)).toBe(1);
      queues.shift(1);
    }
    const turns: number[] = [];
    for (let i = 0; i < 10; i++) {
      const turn = queues.turn(1_000) ?? -1;
      turns.push(turn);
      if (turn === TUNNEL) queues.spend(1_000);
      else queues.shift(turn);
    }
    expect(turns.filter((turn) => turn === TUNNEL).length).toBeGreaterThanOrEqual(4);
    expect(turns.filter((turn) => turn === TUNNEL).length).toBeLessThanOrEqual(6);
  });
});
