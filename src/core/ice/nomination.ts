import { type Instant, NEVER } from "../time.ts";
import type { Checklist } from "./checklist.ts";

/** How long the controlling side waits for something better than the first pair that works. */
export const NOMINATION_DELAY_MS = 100;

/**
 * When the controlling side chooses, and what: the best pair that works, as soon as nothing better can come or it has
 * been waited for long enough. It is checked once more, and that check says that it is the one (RFC 8445 §8.1.1).
 */
export class Nomination {
  readonly #checklist: Checklist;
  #dueAt = NEVER;

  constructor(checklist: Checklist) {
    this.#checklist = checklist;
  }

  /** A pair has succeeded, or the role is new: there may be a choice now. */
  consider(now: Instant): void {
    const { best, controlling, isDecided, pairs } = this.#checklist;
    if (!controlling || best === undefined || pairs.some(({ nominated }) => nominated)) this.#dueAt = NEVER;
    else this.#dueAt = Math.min(this.#dueAt, isDecided ? now : now + NOMINATION_DELAY_MS);
  }

  handleTimeout(now: Instant): void {
    if (now < this.#dueAt) return;
    this.#dueAt = NEVER;
    const { best } = this.#checklist;
    if (best === undefined) return;
    best.nominated = true;
    this.#checklist.trigger(best);
  }

  nextTimeout(): Instant {
    return this.#dueAt;
  }
}
