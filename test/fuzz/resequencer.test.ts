import { expect, test } from "bun:test";
import { NEVER } from "../../src/core/time.ts";
import { GIVE_UP_MS, LATE_MS, LEDGER_WINDOW, LossLedger } from "../../src/core/tunnel/loss-ledger.ts";
import { HELD_BYTES, HELD_PACKETS, Resequencer } from "../../src/core/tunnel/resequencer.ts";
import { numbered } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

/**
 * Resequencer and loss ledger against models that count without end: their numbers never wrap and their memory is a
 * plain map. Both see the same arrivals, as in a session: the ledger first.
 */
const RUNS = 150;
const STEPS = 300;
const REORDER_MS = 40;
/** Each takes a second of the ledger's time, and all of them less than it takes to give up without a floor. */
const MAX_FLOORS = GIVE_UP_MS / LATE_MS - 1;
/** Where numbering starts: at zero, and so that it wraps in the middle of a run. */
const STARTS = [0, 2 ** 32 - 100, 2 ** 32 - 4_000];

class ModelResequencer {
  next: number;
  /** By number, in the order of arrival. */
  readonly held = new Map<number, { at: number; bytes: number }>();
  timeouts = 0;

  constructor(start: number) {
    this.next = start;
  }

  get heldBytes(): number {
    let bytes = 0;
    for (const held of this.held.values()) bytes += held.bytes;
    return bytes;
  }

  push(now: number, seq: number, bytes: number): number[] {
    if (seq < this.next) return [seq];
    const out = seq - this.next >= HELD_PACKETS ? this.advance(seq + 1 - HELD_PACKETS) : [];
    this.held.set(seq, { at: now, bytes });
    while (this.heldBytes > HELD_BYTES) out.push(...this.advance(Math.min(...this.held.keys())));
    return [...out, ...this.advance(this.next)];
  }

  /** Everything before `to` leaves, and the run behind it. */
  advance(to: number): number[] {
    const out = [...this.held.keys()].filter((seq) => seq < to).sort((a, b) => a - b);
    for (const seq of out) this.held.delete(seq);
    this.next = Math.max(this.next, to);
    for (; this.held.delete(this.next); this.next++) out.push(this.next);
    return out;
  }

  nextTimeout(): number {
    const [oldest] = this.held.values();
    return oldest === undefined ? NEVER : oldest.at + REORDER_MS;
  }

  handleTimeout(now: number): number[] {
    const out: number[] = [];
    for (let [oldest] = this.held; oldest !== undefined && oldest[1].at + REORDER_MS <= now; [oldest] = this.held) {
      this.timeouts++;
      out.push(...this.advance(oldest[0]));
    }
    return out;
  }
}

class ModelLedger {
  settled: number;
  newest: number;
  lost = 0;
  readonly arrived = new Set<number>();

  constructor(start: number) {
    this.settled = start;
    this.newest = start - 1;
  }

  get open(): number {
    let open = 0;
    for (let seq = this.settled; seq < this.newest; seq++) if (!this.arrived.has(seq)) open++;
    return open;
  }

  arrive(seq: number): boolean {
    if (seq < this.settled || this.arrived.has(seq)) return false;
    this.arrived.add(seq);
    this.newest = Math.max(this.newest, seq);
    this.settle(this.newest + 1 - LEDGER_WINDOW);
    return true;
  }

  settle(floor: number): void {
    for (; this.settled < floor; this.settled++) if (!this.arrived.has(this.settled)) this.lost++;
  }
}

/** Both machines, walked to where numbering starts. */
function machines(start: number): { ledger: LossLedger; resequencer: Resequencer; lostBefore: number } {
  const ledger = new LossLedger();
  const resequencer = new Resequencer({ reorderMs: REORDER_MS });
  for (let at = 0; at < start; ) {
    at = Math.min(start, at + 2 ** 30);
    ledger.arrive(at - 1);
    resequencer.settle(at >>> 0, []);
  }
  // Of the way there only the last number arrived; what was missing before it is lost now.
  ledger.settle(0, start >>> 0);
  ledger.handleTimeout(1e9);
  return { ledger, resequencer, lostBefore: ledger.lost };
}

test(
  "any arrivals leave resequencer and ledger as they leave their models",
  () => {
    for (const seed of fuzzSeeds("resequencer", RUNS)) {
      const random = new Random(seed);
      const start = random.pick(STARTS);
      const { ledger, resequencer, lostBefore } = machines(start);
      const modelLedger = new ModelLedger(start);
      const model = new ModelResequencer(start);
      const large = random.oneIn(40) ? 60_000 : 8;
      const spread = random.pick([2, 10, 100, 3_000, 9_000]);
      let head = start;
      let now = 1e9;
      let floors = 0;
      for (let step = 0; step < STEPS; step++) {
        const out: Uint8Array[] = [];
        const left: number[] = [];
        now += random.pick([0, 0, 1, 5, 60]);
        const action = random.below(12);
        if (action === 0 && floors < MAX_FLOORS) {
          // A lane has brought everything before the floor, so the floor is never beyond the newest number.
          const floor = Math.max(start, modelLedger.newest + 1 - random.below(spread));
          resequencer.settle(floor >>> 0, out);
          left.push(...model.advance(Math.max(floor, model.next)));
          // A second after the floor has passed it, a missing number is lost.
          ledger.settle(1e9 + floors * LATE_MS, floor >>> 0);
          floors++;
          ledger.handleTimeout(1e9 + floors * LATE_MS);
          modelLedger.settle(floor);
        } else if (action === 1) {
          resequencer.handleTimeout(now, out);
          left.push(...model.handleTimeout(now));
        } else {
          const seq = Math.max(start, head + random.between(-spread, 3));
          head = Math.max(head, seq + (random.oneIn(60) ? random.below(20_000) : 1));
          const fresh = ledger.arrive(seq >>> 0);
          if (fresh !== modelLedger.arrive(seq))
            expect({ seed, step, seq, fresh }).toEqual({ seed, step, seq, fresh: !fresh });
          if (fresh) {
            resequencer.push(now, seq >>> 0, numbered(seq >>> 0, large), out);
            left.push(...model.push(now, seq, large));
          }
        }
        const got = {
          out: out.map((datagram) => new DataView(datagram.buffer, datagram.byteOffset).getUint32(0)),
          held: [resequencer.heldPackets, resequencer.heldBytes],
          due: resequencer.nextTimeout(),
          timeouts: resequencer.timeouts,
          ledger: [ledger.lost - lostBefore, ledger.open],
        };
        const wanted = {
          out: left.map((seq) => seq >>> 0),
          held: [model.held.size, model.heldBytes],
          due: model.nextTimeout(),
          timeouts: model.timeouts,
          ledger: [modelLedger.lost, modelLedger.open],
        };
        if (!Bun.deepEquals(got, wanted)) expect({ seed, step, ...got }).toEqual({ seed, step, ...wanted });
      }
    }
  },
  SLOW_MACHINE_MS,
);
