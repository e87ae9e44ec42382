/** The first pause after a failure, and the longest one: a server that is back is found again within 5 s. */
const FIRST_MS = 500;
const LONGEST_MS = 5_000;

/** When a lost connection is dialled again: at once if it had worked, then at pauses that grow, with half of it jitter. */
export class RedialTimes {
  readonly #random: () => number;
  #pauseMs = FIRST_MS;
  #heldMs = 0;

  /** `random`: uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The connection was of use. */
  worked(): void {
    this.#pauseMs = 0;
  }

  /** The next pause is this long, whatever came before. */
  hold(ms: number): void {
    this.#heldMs = ms;
  }

  /** Milliseconds until the next dial. */
  next(): number {
    const held = this.#heldMs;
    this.#heldMs = 0;
    if (held > 0) return held;
    const pause = this.#pauseMs;
    this.#pauseMs = pause === 0 ? FIRST_MS : Math.min(LONGEST_MS, pause * 2);
    return pause * (0.5 + this.#random() / 2);
  }
}
