import { serialDistance, serialNext } from "./serial.ts";

/** How far behind the newest sequence number one may still arrive. Older ones count as lost, and as duplicates. */
export const LEDGER_WINDOW = 16_384;

/**
 * Which sequence numbers of one session and direction have arrived: tells duplicates, and counts each lost one exactly
 * once. A missing number is lost as soon as every live lane has delivered a later one (lanes are FIFO), or when it
 * falls out of the window. Independent of the resequencer, because the counters must add up with it on or off.
 */
export class LossLedger {
  /** Every number before it is settled: it arrived or was counted as lost. */
  #settled = 0;
  /** One behind the newest number that arrived. */
  #end = 0;
  readonly #seen = new Uint8Array(LEDGER_WINDOW);
  lost = 0;

  /** Numbers between settled and newest that have not arrived and are not given up. */
  get open(): number {
    let open = 0;
    for (let seq = this.#settled; seq !== this.#end; seq = serialNext(seq))
      if (!this.#seen[seq % LEDGER_WINDOW]) open++;
    return open;
  }

  /** Note that `seq` arrived. False: it had arrived before, or is too old to tell. */
  arrive(seq: number): boolean {
    if (serialDistance(seq, this.#settled) < 0) return false;
    const ahead = serialDistance(seq, this.#end);
    if (ahead < 0) {
      const slot = seq % LEDGER_WINDOW;
      if (this.#seen[slot]) return false;
      this.#seen[slot] = 1;
      return true;
    }
    if (ahead >= LEDGER_WINDOW) this.#jump(seq);
    else this.settle(serialNext(seq, 1 - LEDGER_WINDOW));
    this.#seen[seq % LEDGER_WINDOW] = 1;
    this.#end = serialNext(seq);
    return true;
  }

  /** Everything before `floor` that has not arrived never will. */
  settle(floor: number): void {
    while (serialDistance(floor, this.#settled) > 0 && this.#settled !== this.#end) this.#settleOne();
    if (this.#settled === this.#end && serialDistance(floor, this.#settled) > 0) {
      // Numbers between the newest arrival and the floor: none of them can be there.
      this.lost += serialDistance(floor, this.#settled);
      this.#settled = floor;
      this.#end = floor;
    }
  }

  /** Start again at zero (a new epoch). What was still open is lost. */
  reset(): void {
    this.lost += this.open;
    this.#settled = 0;
    this.#end = 0;
    this.#seen.fill(0);
  }

  #settleOne(): void {
    const slot = this.#settled % LEDGER_WINDOW;
    if (!this.#seen[slot]) this.lost++;
    this.#seen[slot] = 0;
    this.#settled = serialNext(this.#settled);
  }

  /** `seq` is more than a window ahead: settle all there is and start the window anew just before it. */
  #jump(seq: number): void {
    this.settle(seq);
    this.#seen.fill(0);
  }
}
