import { type Instant, NEVER } from "../time.ts";

/** A responder's pipe that nobody has sent a sealed packet on by then was opened by nobody who has the keys. */
export const UNPROVEN_MS = 15_000;
const GREET_MS = 1_000;

/**
 * Whether the other end of a pipe has shown that it has the keys, by its first authentic packet: before that an offer
 * may have been a recorded one. The initiator greets until it is answered, and either gives up after `UNPROVEN_MS`.
 */
export class Greeting {
  readonly #until: Instant;
  #greetAt: Instant;
  #isProven = false;

  constructor(now: Instant, isInitiator: boolean) {
    this.#until = now + UNPROVEN_MS;
    this.#greetAt = isInitiator ? now : NEVER;
  }

  get isProven(): boolean {
    return this.#isProven;
  }

  /** An authentic packet has come. True: it was the first one. */
  prove(): boolean {
    const isFirst = !this.#isProven;
    this.#isProven = true;
    return isFirst;
  }

  /** What is to be done now. */
  poll(now: Instant): "greet" | "give-up" | undefined {
    if (this.#isProven) return undefined;
    if (now >= this.#until) return "give-up";
    if (now < this.#greetAt) return undefined;
    this.#greetAt = now + GREET_MS;
    return "greet";
  }

  nextTimeout(): Instant {
    return this.#isProven ? NEVER : Math.min(this.#greetAt, this.#until);
  }
}
