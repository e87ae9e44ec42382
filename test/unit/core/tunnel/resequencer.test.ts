import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { HELD_BYTES, HELD_PACKETS, Resequencer } from "../../../../src/core/tunnel/resequencer.ts";
import { numbered, numberOf } from "../../../bytes.ts";

/** A resequencer, and the numbers that leave it. */
class Bench {
  readonly machine: Resequencer;

  constructor(reorderMs = 50, first = 0) {
    this.machine = new Resequencer({ reorderMs });
    if (first !== 0) this.#start(first);
  }

  /** Numbers that leave when these arrive, in this order. */
  push(now: number, ...seqs: number[]): number[] {
    return this.#leaving((out) => {
      for (const seq of seqs) this.machine.push(now, seq, numbered(seq), out);
    });
  }

  settle(floor: number): number[] {
    return this.#leaving((out) => this.machine.settle(floor, out));
  }

  timeout(now: number): number[] {
    return this.#leaving((out) => this.machine.handleTimeout(now, out));
  }

  reset(): number[] {
    return this.#leaving((out) => this.machine.reset(out));
  }

  get held(): { packets: number; bytes: number } {
    return { packets: this.machine.heldPackets, bytes: this.machine.heldBytes };
  }

  /** Walk up to `first` in steps that serial numbers allow. */
  #start(first: number): void {
    const out: Uint8Array[] = [];
    for (let at = 0; at !== first; at = first - at > 2 ** 30 ? at + 2 ** 30 : first) this.machine.settle(at, out);
    this.machine.settle(first, out);
    expect(out).toEqual([]);
  }

  #leaving(act: (out: Uint8Array[]) => void): number[] {
    const out: Uint8Array[] = [];
    act(out);
    return out.map(numberOf);
  }
}

function span(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

const EMPTY = { packets: 0, bytes: 0 };

describe("in order", () => {
  test("what comes in order leaves at once, uncopied, and nothing is due", () => {
    const machine = new Resequencer({ reorderMs: 50 });
    const datagrams = [0, 1, 2].map((seq) => numbered(seq));
    const out: Uint8Array[] = [];
    for (const [seq, datagram] of datagrams.entries()) machine.push(0, seq, datagram, out);
    expect(out.map((datagram, i) => datagram === datagrams[i])).toEqual([true, true, true]);
    expect([machine.nextTimeout(), machine.waited, machine.timeouts]).toEqual([NEVER, 0, 0]);
  });

  test("a datagram without bytes is one like any other", () => {
    const machine = new Resequencer({ reorderMs: 50 });
    const out: Uint8Array[] = [];
    machine.push(0, 1, new Uint8Array(0), out);
    machine.push(0, 0, new Uint8Array(0), out);
    expect([out, machine.heldPackets, machine.heldBytes]).toEqual([[new Uint8Array(0), new Uint8Array(0)], 0, 0]);
  });
});

describe("a gap that is filled", () => {
  test("releases the run behind it, up to the next gap", () => {
    const bench = new Bench();
    expect([bench.push(0, 1, 2, 4), bench.held]).toEqual([[], { packets: 3, bytes: 24 }]);
    expect([bench.push(0, 0), bench.held]).toEqual([[0, 1, 2], { packets: 1, bytes: 8 }]);
    expect([bench.push(0, 3), bench.held, bench.machine.waited]).toEqual([[3, 4], EMPTY, 3]);
    expect(bench.machine.nextTimeout()).toBe(NEVER);
  });

  test("what waits is a copy: its receive buffer is used again", () => {
    const machine = new Resequencer({ reorderMs: 50 });
    const buffer = numbered(1);
    const out: Uint8Array[] = [];
    machine.push(0, 1, buffer, out);
    buffer.fill(0xff);
    machine.push(0, 0, numbered(0), out);
    expect(out.map(numberOf)).toEqual([0, 1]);
  });

  test("reversed arrivals leave in order with the last", () => {
    const bench = new Bench();
    const reversed = span(1, 500).reverse();
    expect(bench.push(0, ...reversed)).toEqual([]);
    expect([bench.push(0, 0), bench.held]).toEqual([span(0, 500), EMPTY]);
  });
});

describe("a gap that is given up", () => {
  test("by the floor: no lane can fill it any more", () => {
    const bench = new Bench();
    bench.push(0, 1, 2, 5);
    expect([bench.settle(0), bench.settle(1), bench.held.packets]).toEqual([[], [1, 2], 1]);
    expect([bench.settle(4), bench.settle(5), bench.held]).toEqual([[], [5], EMPTY]);
    expect([bench.settle(3), bench.push(0, 6)]).toEqual([[], [6]]);
  });

  test("by the floor, before anything was held", () => {
    const bench = new Bench();
    expect([bench.settle(10), bench.push(0, 10, 11), bench.machine.waited]).toEqual([[], [10, 11], 0]);
  });

  test("by the floor, which may stand behind a held run", () => {
    const bench = new Bench();
    bench.push(0, 3, 4, 5);
    expect([bench.settle(4), bench.held]).toEqual([[3, 4, 5], EMPTY]);
  });

  test("by time, for each datagram its own", () => {
    const bench = new Bench(50);
    bench.push(0, 2);
    bench.push(10, 5);
    bench.push(20, 1);
    expect([bench.machine.nextTimeout(), bench.timeout(49)]).toEqual([50, []]);
    // 2 is due, and 1 leaves before it although it came last.
    expect([bench.timeout(50), bench.held.packets, bench.machine.nextTimeout()]).toEqual([[1, 2], 1, 60]);
    expect([bench.timeout(60), bench.held, bench.machine.nextTimeout()]).toEqual([[5], EMPTY, NEVER]);
    expect([bench.machine.timeouts, bench.machine.waited]).toEqual([2, 3]);
  });

  test("by time, all that is due at once", () => {
    const bench = new Bench(50);
    bench.push(0, 9);
    bench.push(1, 3);
    bench.push(2, 6, 7);
    expect([bench.timeout(1_000), bench.held]).toEqual([[3, 6, 7, 9], EMPTY]);
  });

  test("what comes after all leaves at once: late is better than never", () => {
    const bench = new Bench(50);
    bench.push(0, 3);
    bench.timeout(50);
    expect([bench.push(60, 1), bench.push(60, 4), bench.push(60, 0)]).toEqual([[1], [4], [0]]);
  });

  test("by count: the 4097th number ahead pushes the window on", () => {
    expect(HELD_PACKETS).toBe(4_096);
    const bench = new Bench();
    expect(bench.push(0, ...span(1, 4_095))).toEqual([]);
    expect(bench.held.packets).toBe(4_095);
    expect([bench.push(0, 4_096), bench.held]).toEqual([span(1, 4_096), EMPTY]);
  });

  test("by count: only as many gaps as it takes", () => {
    const bench = new Bench();
    bench.push(0, 1, 3);
    expect([bench.push(0, 4_096), bench.held.packets]).toEqual([[1], 2]);
    expect([bench.push(0, 4_098), bench.held.packets, bench.push(0, 2)]).toEqual([[3], 2, [2]]);
    expect(bench.push(0, ...span(4, 4_095))).toEqual(span(4, 4_096));
    expect(bench.push(0, 4_097)).toEqual([4_097, 4_098]);
  });

  test("by a jump beyond everything held", () => {
    const bench = new Bench();
    bench.push(0, 5, 7);
    expect([bench.push(0, 1_000_000), bench.held]).toEqual([[5, 7], { packets: 1, bytes: 8 }]);
    expect([bench.timeout(50), bench.push(60, 1_000_001)]).toEqual([[1_000_000], [1_000_001]]);
  });

  test("by bytes: 8 MiB and no more, oldest gap first", () => {
    const machine = new Resequencer({ reorderMs: 50 });
    const out: Uint8Array[] = [];
    const large = HELD_BYTES / 128;
    expect(large).toBe(65_536);
    for (let seq = 1; seq <= 63; seq++) machine.push(0, seq, numbered(seq, large), out);
    for (let seq = 65; seq <= 129; seq++) machine.push(0, seq, numbered(seq, large), out);
    expect([out.length, machine.heldBytes]).toEqual([0, HELD_BYTES]);
    machine.push(0, 131, numbered(131, 4), out);
    expect([out.map(numberOf), machine.heldPackets, machine.heldBytes]).toEqual([span(1, 63), 66, 65 * large + 4]);
  });
});

describe("the wrap at 2^32", () => {
  const LAST = 0xffff_ffff;

  test("is like any other number, in order and across a gap", () => {
    const bench = new Bench(50, LAST - 2);
    expect([bench.push(0, LAST - 2), bench.push(0, LAST, 0, 1), bench.push(0, LAST - 1)]).toEqual([
      [LAST - 2],
      [],
      [LAST - 1, LAST, 0, 1],
    ]);
    expect([bench.push(0, 2), bench.held]).toEqual([[2], EMPTY]);
  });

  test("a floor and a timeout behind it", () => {
    const bench = new Bench(50, LAST);
    bench.push(0, 0, 3, 7);
    expect([bench.settle(2), bench.timeout(50), bench.push(60, 8)]).toEqual([[0], [3, 7], [8]]);
  });
});

describe("reset", () => {
  test("lets everything go in order, and starts at zero", () => {
    const bench = new Bench();
    bench.push(0, 0, 2, 3, 9);
    expect([bench.reset(), bench.held, bench.machine.nextTimeout()]).toEqual([[2, 3, 9], EMPTY, NEVER]);
    expect([bench.push(0, 0), bench.push(0, 2), bench.push(0, 1)]).toEqual([[0], [], [1, 2]]);
  });

  test("of an empty one is nothing", () => {
    const bench = new Bench();
    expect([bench.reset(), bench.push(0, 0)]).toEqual([[], [0]]);
  });
});

describe("a gap that lives as long as traffic does", () => {
  test("costs no memory beyond what is held, and times out in order", () => {
    const bench = new Bench(1_000);
    // Every other datagram is lost, and the floor follows closely: nothing ever leaves by time.
    let left = 0;
    let mostHeld = 0;
    let forgotten = 0;
    for (let seq = 1; seq < 60_000; seq += 2) {
      left += bench.push(seq, seq).length;
      mostHeld = Math.max(mostHeld, bench.held.packets);
      left += bench.settle(Math.max(0, seq - 100)).length;
      // The oldest that is held came when its number says.
      const oldest = seq < 101 ? 1 : seq - 98;
      if (bench.machine.nextTimeout() !== oldest + 1_000) forgotten++;
    }
    expect([left, bench.held.packets, mostHeld, forgotten]).toEqual([29_950, 50, 51, 0]);
    expect([bench.machine.nextTimeout(), bench.timeout(1e9)]).toEqual([
      59_901 + 1_000,
      span(0, 49).map((i) => 59_901 + 2 * i),
    ]);
  });
});
