import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";

/** RFC 8289 §4.4: a standing queue must last this long before anything is dropped. One long round trip. */
export const CODEL_INTERVAL_MS = 100;
/** RFC 8289 §5.5: a drop state that ended so recently is taken up again where it left off. */
const RECENT_INTERVALS = 16;

/**
 * CoDel (RFC 8289): tells a standing queue from a burst by how long datagrams wait, and drops one now and then until
 * TCP inside the tunnel slows down. Lanes hide every loss from the inner TCP, so without it that TCP fills whatever
 * queue it is given, and everybody waits behind it.
 */
export class Codel {
  readonly #targetMs: number;
  #aboveUntil: Instant = NEVER;
  #dropping = false;
  #dropNext: Instant = 0;
  #count = 0;
  #lastCount = 0;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** Asked of the datagram at the head before it leaves, again after each drop: should it be dropped instead? */
  drops(now: Instant, waitedMs: number, isLast: boolean): boolean {
    const standing = this.#standing(now, waitedMs, isLast);
    if (this.#dropping) {
      if (!standing) this.#dropping = false;
      else if (now >= this.#dropNext) {
        this.#count++;
        this.#dropNext += this.#spacing();
        return true;
      }
      return false;
    }
    if (!standing) return false;
    this.#dropping = true;
    const added = this.#count - this.#lastCount;
    const recent = now - this.#dropNext < RECENT_INTERVALS * CODEL_INTERVAL_MS;
    this.#count = recent && added > 1 ? added : 1;
    this.#lastCount = this.#count;
    this.#dropNext = now + this.#spacing();
    return true;
  }

  #standing(now: Instant, waitedMs: number, isLast: boolean): boolean {
    if (waitedMs < this.#targetMs || isLast) {
      this.#aboveUntil = NEVER;
      return false;
    }
    if (this.#aboveUntil === NEVER) this.#aboveUntil = now + CODEL_INTERVAL_MS;
    return now >= this.#aboveUntil;
  }

  #spacing(): number {
    return CODEL_INTERVAL_MS / Math.sqrt(this.#count);
  }
}
