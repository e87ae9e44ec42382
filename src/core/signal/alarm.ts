import { type Instant, NEVER } from "../time.ts";

/** The earliest of many deadlines. It may ring for one that is gone by then; whoever still waits sets it again. */
export class Alarm {
  #at: Instant = NEVER;

  get at(): Instant {
    return this.#at;
  }

  set(at: Instant): void {
    this.#at = Math.min(this.#at, at);
  }

  /** Whether it is time to look at all deadlines; each that remains is to be set again. */
  rings(now: Instant): boolean {
    if (now < this.#at) return false;
    this.#at = NEVER;
    return true;
  }
}
