/** What either end may send on a new stream before it hears of more. */
export const FIRST_WINDOW_BYTES = 64 * 1024;
/** What a stream's sender may be ahead of its reader: 4 MiB fill 800 Mbit/s over a round trip of 40 ms. */
export const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
/** What all streams of one peer's connections may be ahead of their readers beyond their first windows. */
export const BUDGET_BYTES = 64 * 1024 * 1024;

/** What the streams of one peer share, of one connection where this end has dialled: each may have its part, and all together no more than there is. */
export class CreditBudget {
  #streams = 0;
  /** Given beyond first windows, and not used up yet. */
  #given = 0;

  get givenBytes(): number {
    return this.#given;
  }

  join(): void {
    this.#streams += 1;
  }

  leave(given: number): void {
    this.#streams -= 1;
    this.#given -= given;
  }

  /** How far ahead of its reader a stream's sender may be, as many streams as there are now. */
  get shareBytes(): number {
    return Math.min(MAX_WINDOW_BYTES, Math.floor(BUDGET_BYTES / Math.max(1, this.#streams)));
  }

  /** The change of what one stream has of it: `more` may be negative. Returns what was really given. */
  change(more: number): number {
    const given = Math.min(more, BUDGET_BYTES - this.#given);
    this.#given += given;
    return given;
  }
}

/**
 * The receiving end's account of one stream: how much its sender may send, which is how much can wait here. The window
 * starts small and doubles each time that half of it was read, so that a fast reader soon has the largest, and 500 slow
 * ones cost 32 MiB and not 2 GiB.
 */
export class ReceiveCredit {
  readonly #budget: CreditBudget;
  #window = FIRST_WINDOW_BYTES;
  /** The sender may still send so much. */
  #left = FIRST_WINDOW_BYTES;
  /** What came in and was not read. */
  #waiting = 0;
  /** Its part of the budget. */
  #given = 0;
  #isClosed = false;

  constructor(budget: CreditBudget) {
    this.#budget = budget;
    budget.join();
  }

  get waitingBytes(): number {
    return this.#waiting;
  }

  /** False: the sender had no leave to send that. */
  receive(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    this.#waiting += bytes;
    return true;
  }

  /** So much was read. Returns what the sender is to be told it may send more; 0: nothing yet. */
  read(bytes: number): number {
    this.#waiting -= bytes;
    const ahead = this.#left + this.#waiting;
    if (ahead > this.#window / 2 || this.#isClosed) return 0;
    // What was allowed is not taken back, however many streams there are now.
    const window = Math.max(FIRST_WINDOW_BYTES, ahead, Math.min(2 * this.#window, this.#budget.shareBytes));
    this.#given += this.#budget.change(window - FIRST_WINDOW_BYTES - this.#given);
    this.#window = FIRST_WINDOW_BYTES + this.#given;
    const grant = this.#window - ahead;
    this.#left += grant;
    return grant;
  }

  /** The stream is over. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#budget.leave(this.#given);
  }
}
