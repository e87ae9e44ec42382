import { expect, test } from "bun:test";
import { BUDGET_BYTES, CreditBudget, FIRST_WINDOW_BYTES, MAX_WINDOW_BYTES } from "../../src/core/streams/credit.ts";
import { FramedStream } from "../../src/core/streams/framed-stream.ts";
import { concat } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const RUNS = 25;
const STEPS = 600;

/** One end: what its user wrote and read, and what is on its way to the other one. */
class End {
  readonly stream: FramedStream;
  readonly wire: number[] = [];
  written = 0;
  read = 0;
  wrong = 0;
  hasEnded = false;

  constructor(budget: CreditBudget) {
    this.stream = new FramedStream(budget);
  }

  /** Byte n of a stream is n mod 251: nothing that is lost, doubled or moved goes unseen. */
  write(length: number): void {
    if (this.hasEnded) return;
    this.stream.write(Uint8Array.from({ length }, (_, i) => (this.written + i) % 251));
    this.written += length;
  }

  end(): void {
    this.hasEnded = true;
    this.stream.end();
  }

  flush(maxBytes: number): void {
    const pieces = this.stream.pollOutput(maxBytes);
    if (pieces !== undefined) this.wire.push(...concat(pieces));
  }

  take(length: number): void {
    let left = length;
    this.stream.read((chunk) => {
      const taken = Math.min(left, chunk.length);
      for (const byte of chunk.subarray(0, taken)) if (byte !== this.read++ % 251) this.wrong += 1;
      left -= taken;
      return taken;
    });
  }
}

test(
  "two ends, a wire that is cut anywhere, readers that rest: every byte once, in order, and never more than allowed",
  () => {
    for (const seed of fuzzSeeds("streams", RUNS)) {
      const random = new Random(seed);
      const budget = new CreditBudget();
      const ends: readonly [End, End] = [new End(budget), new End(budget)];
      const step = (one: End, other: End) => {
        const what = random.below(10);
        if (what < 3) one.write(random.below(random.pick([10, 1_000, 40_000])));
        else if (what < 5) one.flush(1 + random.below(random.pick([20, 70_000])));
        else if (what < 8) {
          const chunk = Uint8Array.from(other.wire.splice(0, 1 + random.below(random.pick([3, 50_000]))));
          expect(one.stream.receive(chunk)).toBeUndefined();
        } else if (what < 9) one.take(random.below(random.pick([100, 100_000])));
        else if (random.oneIn(100)) one.end();
        expect(one.stream.waitingBytes).toBeLessThanOrEqual(MAX_WINDOW_BYTES);
      };
      for (let i = 0; i < STEPS; i++) step(...(random.oneIn(2) ? ends : ([ends[1], ends[0]] as const)));
      for (const end of ends) end.end();
      // Everybody reads and sends until nothing moves any more.
      for (let i = 0; i < 2_000 && !ends.every(({ stream }) => stream.isFinished); i++)
        for (const [one, other] of [ends, [ends[1], ends[0]]] as const) {
          one.flush(65_536);
          other.stream.receive(Uint8Array.from(one.wire.splice(0)));
          other.take(Number.POSITIVE_INFINITY);
        }
      expect([ends[0].wrong, ends[1].wrong]).toEqual([0, 0]);
      expect([ends[0].read, ends[1].read]).toEqual([ends[1].written, ends[0].written]);
      expect(ends.map(({ stream }) => stream.isFinished)).toEqual([true, true]);
      for (const { stream } of ends) stream.close();
      expect(budget.givenBytes).toBe(0);
    }
  },
  SLOW_MACHINE_MS,
);

test("hostile bytes: a fault or nothing, and never more waits than was allowed", () => {
  for (const seed of fuzzSeeds("hostile streams", 2_000)) {
    const random = new Random(seed);
    const stream = new FramedStream(new CreditBudget());
    for (let i = 0; i < 20; i++) {
      // Half of them begin as frames do.
      const bytes = random.bytes(random.below(200));
      if (random.oneIn(2)) bytes.set([random.below(6), 0, 0, random.below(2)].slice(0, bytes.length));
      if (stream.receive(bytes) !== undefined) break;
    }
    expect(stream.waitingBytes).toBeLessThanOrEqual(FIRST_WINDOW_BYTES);
    stream.close();
  }
});

test("the budget holds whatever many streams do", () => {
  for (const seed of fuzzSeeds("credit", 8)) {
    const random = new Random(seed);
    const budget = new CreditBudget();
    const streams: FramedStream[] = [];
    for (let i = 0; i < 500; i++) {
      if (random.oneIn(3)) streams.push(new FramedStream(budget));
      const stream = streams[random.below(Math.max(1, streams.length))];
      if (stream === undefined) continue;
      // Whatever it may send, it sends; whatever came, is read; or it ends.
      stream.read((chunk) => chunk.length);
      const length = 1 + random.below(FIRST_WINDOW_BYTES / 4);
      stream.receive(
        concat([Uint8Array.of(1, 0, length >> 16, (length >> 8) & 0xff, length & 0xff), new Uint8Array(length)]),
      );
      if (random.oneIn(9)) for (const ended of streams.splice(random.below(streams.length), 1)) ended.close();
      expect(budget.givenBytes).toBeWithin(0, BUDGET_BYTES + 1);
    }
    for (const stream of streams) stream.close();
    expect(budget.givenBytes).toBe(0);
  }
});
