import type { FlowTable, IdleFlow } from "../../core/pipe/flow-table.ts";
import { now } from "../../io/clock.ts";

/** Flows need not end to the millisecond; those that rest end together. */
const COARSE_MS = 1_000;

/** Ends the flows of a table that rest, while it has any. */
export class FlowTimer<Key, Flow extends IdleFlow> implements Disposable {
  readonly #table: FlowTable<Key, Flow>;
  readonly #onEnded: (flows: readonly Flow[]) => void;
  #timer: Timer | undefined;

  constructor(table: FlowTable<Key, Flow>, onEnded: (flows: readonly Flow[]) => void) {
    this.#table = table;
    this.#onEnded = onEnded;
  }

  /** A flow was added. */
  arm(): void {
    if (this.#timer !== undefined || this.#table.size === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#onEnded(this.#table.expire(now()));
        this.arm();
      },
      Math.max(COARSE_MS, this.#table.nextTimeout() - now()),
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
