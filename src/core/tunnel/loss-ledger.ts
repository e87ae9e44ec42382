import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { serialDistance, serialNext } from "./serial.ts";

/** How far behind the newest sequence number one may still arrive. Older ones count as lost, and as duplicates. */
export const LEDGER_WINDOW = 16_384;
/**
 * How long after the floor has passed a number it may still arrive: what the socket of a broken lane never took, its
 * sender puts on another lane, behind later numbers.
 */
export const LATE_MS = 1_000;
/**
 * How long a number may be missing at all. A lane that has delivered nothing lately holds the floor down for as long as
 * it lives, yet one that really had something on its way would have been ended by TCP_USER_TIMEOUT by now.
 */
export const GIVE_UP_MS = 30_000;

/**
 * Which sequence numbers of one session and direction have arrived: tells duplicates, and counts each lost one exactly
 * once. A missing number is lost when no live lane can bring it any more (lanes are FIFO, the session knows the floor)
 * and `LATE_MS` have passed, at most twice that; when it has been missing for `GIVE_UP_MS`, at most twice that; or when
 * it falls out of the window. One that was counted as lost and comes after all is a duplicate, so that lost and arrived
 * together are always what was sent.
 *
 * Independent of the resequencer, because the counters must add up with it on or off. What the sender lost behind the
 * newest number that arrived shows only when a later one does.
 */
export class LossLedger {
  /** Every number before it is settled: it arrived or was counted as lost. */
  #settled = 0;
  /** One behind the newest number that arrived; `end - settled ≤ LEDGER_WINDOW`. */
  #end = 0;
  /** Whether anything has arrived: `#end` alone cannot tell, since numbers wrap. */
  #any = false;
  #missing = 0;
  readonly #seen = new Uint8Array(LEDGER_WINDOW);
  #floor = 0;
  /** Everything before `#dueFloor` will be settled at `#dueAt`. */
  #dueFloor = 0;
  #dueAt: Instant = NEVER;
  lost = 0;

  /** Numbers before the newest that have not arrived and are not given up. */
  get open(): number {
    return this.#missing;
  }

  /** The newest number that arrived since the last reset, or -1. */
  get newest(): number {
    return this.#any ? serialNext(this.#end, -1) : -1;
  }

  /** Note that `seq` arrived. False: it had arrived before, or is too old to tell. */
  arrive(seq: number): boolean {
    if (serialDistance(seq, this.#settled) < 0) return false;
    const ahead = serialDistance(seq, this.#end);
    const slot = seq % LEDGER_WINDOW;
    if (ahead < 0) {
      if (this.#seen[slot]) return false;
      this.#missing--;
    } else {
      this.#settleTo(serialNext(seq, 1 - LEDGER_WINDOW));
      // Behind a jump of more than a window, #end has moved.
      this.#missing += serialDistance(seq, this.#end);
      this.#end = serialNext(seq);
      this.#any = true;
    }
    this.#seen[slot] = 1;
    return true;
  }

  /** No live lane can bring a number before `floor` any more. Call as often as it may have moved. */
  settle(now: Instant, floor: number): void {
    this.#floor = floor;
    this.handleTimeout(now);
  }

  nextTimeout(): Instant {
    return this.#dueAt;
  }

  handleTimeout(now: Instant): void {
    if (now >= this.#dueAt) {
      this.#dueAt = NEVER;
      this.#settleTo(this.#dueFloor);
    }
    if (this.#missing === 0) return;
    const passed = serialDistance(this.#floor, this.#settled) > 0;
    const at = now + (passed ? LATE_MS : GIVE_UP_MS);
    if (at >= this.#dueAt) return;
    this.#dueAt = at;
    this.#dueFloor = passed ? this.#floor : this.#end;
  }

  /** Start again at zero (a new epoch). What was still open is lost. */
  reset(): void {
    this.lost += this.#missing;
    this.#missing = 0;
    this.#settled = 0;
    this.#end = 0;
    this.#any = false;
    this.#floor = 0;
    this.#dueAt = NEVER;
    this.#seen.fill(0);
  }

  #settleTo(floor: number): void {
    while (this.#settled !== this.#end && serialDistance(floor, this.#settled) > 0) {
      const slot = this.#settled % LEDGER_WINDOW;
      if (!this.#seen[slot]) {
        this.lost++;
        this.#missing--;
      }
      this.#seen[slot] = 0;
      this.#settled = serialNext(this.#settled);
    }
    // Only a number more than a window ahead leads beyond the newest: none of those between has arrived.
    const beyond = serialDistance(floor, this.#settled);
    if (beyond <= 0) return;
    this.lost += beyond;
    this.#settled = floor;
    this.#end = floor;
  }
}
