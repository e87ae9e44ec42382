import { type Instant, NEVER } from "../core/time.ts";
import { now } from "./clock.ts";

/** The one timer of a machine that tells when it wants to be woken (`nextTimeout`). */
export class WakeTimer implements Disposable {
  readonly #wake: () => void;
  #timer: Timer | undefined;
  #at: Instant = NEVER;
  #isOver = false;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Then and not before. Left alone when nothing changed: pushed back by every datagram it would never fire. */
  set(at: Instant): void {
    if (at === this.#at || this.#isOver) return;
    clearTimeout(this.#timer);
    this.#at = at;
    if (at === NEVER) return;
    this.#timer = setTimeout(
      () => {
        this.#at = NEVER;
        this.#wake();
      },
      Math.max(0, at - now()),
    );
  }

  /** Then or before: to be woken for nothing is cheaper than to set it again for each datagram. */
  setBy(at: Instant): void {
    if (at < this.#at) this.set(at);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
  }
}
