/**
 * Which packet counters have been seen, of the last 16,384: a packet counts once, whichever path brought it, so the
 * window also drops the duplicates of a moment in which a pipe sends on two paths. After RFC 6479: a ring of words, and
 * moving on clears whole words only.
 */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS);
  #newest = -1;

  /** The highest counter accepted so far; -1 before the first. */
  get newest(): number {
    return this.#newest;
  }

  /** True once for each counter; false for one seen before, or too old to tell. Ask only for what is authentic. */
  accept(counter: number): boolean {
    if (counter > this.#newest) this.#advance(counter);
    else if (counter <= this.#newest - WINDOW_PACKETS) return false;
    const index = Math.floor(counter / WORD_BITS) % WORDS;
    const bit = 1 << (counter % WORD_BITS);
    const word = this.#words[index] ?? 0;
    if ((word & bit) !== 0) return false;
    this.#words[index] = word | bit;
    return true;
  }

  #advance(counter: number): void {
    const from = Math.floor(this.#newest / WORD_BITS);
    const to = Math.floor(counter / WORD_BITS);
    const steps = Math.min(to - from, WORDS);
    for (let i = 0; i < steps; i++) this.#words[(to - i) % WORDS] = 0;
    this.#newest = counter;
  }
}

export const WINDOW_PACKETS = 16_384;
const WORD_BITS = 32;
/** One word more than the window: the one that is being filled must not hold the oldest, too. */
const WORDS = WINDOW_PACKETS / WORD_BITS + 1;
