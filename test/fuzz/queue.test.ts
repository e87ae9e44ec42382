import { expect, test } from "bun:test";
import { DirectionCounters } from "../../src/core/tunnel/counters.ts";
import { Queue, type QueueLimits } from "../../src/core/tunnel/queue.ts";
import { numbered } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { initiation } from "../unit/core/tunnel/wireguard-messages.ts";

/** The queue against two plain arrays that are searched from end to end for everything. */
const RUNS = 400;
const STEPS = 400;

interface Waiting {
  readonly datagram: Uint8Array;
  readonly at: number;
}

class ModelQueue {
  bulk: Waiting[] = [];
  handshakes: Waiting[] = [];
  readonly drops = { oldest: 0, delay: 0, stale: 0 };
  readonly #limits: QueueLimits;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return [...this.bulk, ...this.handshakes].reduce((sum, { datagram }) => sum + datagram.length, 0);
  }

  push(at: number, datagram: Uint8Array, handshake: boolean): number {
    const { maxPackets, maxBytes } = this.#limits;
    const before = this.drops.oldest;
    if (handshake) {
      this.handshakes.push({ datagram, at });
      if (this.handshakes.length > 64) this.#drop(this.handshakes);
    } else {
      this.bulk.push({ datagram, at });
      const bytes = () => this.bulk.reduce((sum, waiting) => sum + waiting.datagram.length, 0);
      while (this.bulk.length > 1 && (this.bulk.length > maxPackets || bytes() > maxBytes)) this.#drop(this.bulk);
    }
    return this.drops.oldest - before;
  }

  peek(now: number): Uint8Array | undefined {
    if (this.#limits.maxDelayMs > 0) this.dropOlderThan(now - this.#limits.maxDelayMs, "delay");
    return (this.handshakes[0] ?? this.bulk[0])?.datagram;
  }

  shift(now: number): number {
    const gone = (this.handshakes.length > 0 ? this.handshakes : this.bulk).shift();
    return now - (gone?.at ?? now);
  }

  dropOlderThan(oldest: number, reason: "delay" | "stale"): number {
    const all = this.bulk.length + this.handshakes.length;
    this.bulk = this.bulk.filter(({ at }) => at >= oldest);
    this.handshakes = this.handshakes.filter(({ at }) => at >= oldest);
    const dropped = all - this.bulk.length - this.handshakes.length;
    this.drops[reason] += dropped;
    return dropped;
  }

  #drop(from: Waiting[]): void {
    from.shift();
    this.drops.oldest++;
  }
}

test(
  "any list of operations leaves the queue as it leaves its model",
  () => {
    for (const seed of fuzzSeeds("queue", RUNS)) {
      const random = new Random(seed);
      const limits: QueueLimits = {
        maxPackets: random.pick([1, 2, 7, 64, 100, 4_096]),
        maxBytes: random.pick([1, 100, 3_000, 1e9]),
        maxDelayMs: random.pick([0, 0, 20]),
        targetMs: 0,
      };
      const counters = new DirectionCounters();
      const queue = new Queue(limits, counters);
      const model = new ModelQueue(limits);
      const mostlyPush = random.between(2, 8);
      let now = 0;
      for (let step = 0; step < STEPS; step++) {
        const [got, wanted] = operate(random, queue, model, now, mostlyPush);
        now += random.pick([0, 0, 1, 7]);
        const state = [
          got,
          queue.packets,
          queue.bytes,
          ...["oldest", "delay", "stale"].map((r) => counters.drops[r as "stale"]),
        ];
        const expected = [
          wanted,
          model.bulk.length + model.handshakes.length,
          model.bytes,
          ...Object.values(model.drops),
        ];
        if (!Bun.deepEquals(state, expected)) expect({ seed, step, state }).toEqual({ seed, step, state: expected });
      }
    }
  },
  SLOW_MACHINE_MS,
);

/** One random operation on both; returns what each said. */
function operate(random: Random, queue: Queue, model: ModelQueue, now: number, mostlyPush: number): [unknown, unknown] {
  if (random.below(10) < mostlyPush) {
    const handshake = random.oneIn(6);
    const datagram = handshake ? initiation() : numbered(random.below(2 ** 24), random.pick([4, 4, 60, 1_400]));
    return [queue.push(now, datagram), model.push(now, datagram, handshake)];
  }
  if (random.oneIn(8)) {
    const oldest = now - random.below(30);
    return [queue.dropOlderThan(oldest, "stale"), model.dropOlderThan(oldest, "stale")];
  }
  const head = queue.peek(now);
  // The very same object: the queue keeps what it was given.
  if (head !== model.peek(now)) return ["another datagram", "the oldest"];
  return head === undefined ? [0, 0] : [queue.shift(now), model.shift(now)];
}
