import type { RandomBytes } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { uniform } from "../uniform.ts";

/** DESIGN "Signalling": a ping every 25 s, dead after 10 s. */
export const PING_EVERY_MS = 25_000;
export const DEAD_AFTER_MS = 10_000;
/** The round trip is the shortest of so many: the others waited for a lost segment, or behind a long message. */
const SAMPLES = 4;

/**
 * Whether the other end of a control connection is there, and how far away: pings at once and then every 25 s, and
 * gives it up when nothing at all was heard for 10 s after a ping. Both ends run one.
 */
export class Heartbeat {
  readonly #random: RandomBytes;
  readonly #samples: number[] = [];
  #pingAt: Instant;
  /** The ping that is out: nobody can answer one that they have not read. */
  #ping: { readonly id: number; readonly at: Instant } | undefined;
  #deadAt: Instant = NEVER;

  constructor(now: Instant, random: RandomBytes) {
    this.#random = random;
    this.#pingAt = now;
  }

  /** Of the whole way there and back; null before the first pong. */
  get rttMs(): number | null {
    return this.#samples.length === 0 ? null : Math.min(...this.#samples);
  }

  /** Anything is a sign of life. */
  heard(): void {
    this.#deadAt = NEVER;
  }

  pong(now: Instant, id: number): void {
    if (this.#ping?.id !== id) return;
    this.#samples.push(now - this.#ping.at);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#ping = undefined;
  }

  /** What is due: a ping to send by its id, or the end. */
  poll(now: Instant): number | "dead" | undefined {
    if (now >= this.#deadAt) return "dead";
    if (now < this.#pingAt) return undefined;
    const id = Math.floor(uniform(this.#random) * 2 ** 32);
    this.#ping = { id, at: now };
    this.#pingAt = now + PING_EVERY_MS;
    this.#deadAt = now + DEAD_AFTER_MS;
    return id;
  }

  nextTimeout(): Instant {
    return Math.min(this.#pingAt, this.#deadAt);
  }
}
