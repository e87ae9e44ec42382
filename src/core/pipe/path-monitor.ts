import type { RandomBytes } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { TOKEN_BYTES } from "./control-message.ts";

/** How often a path is probed while datagrams flow. */
export const PROBE_MS = 500;
/** How often otherwise, unless the NAT's mapping lives shorter than that. */
export const KEEPALIVE_MS = 15_000;
/** A keepalive that was not answered is repeated this soon. */
const RETRY_MS = 1_000;
/** A probe that was not answered for so long is lost. */
const LOST_AFTER_MS = 1_500;
/** Probes that the loss is measured over: 20 s of traffic. */
const LOSS_WINDOW = 40;
/** RFC 6298 §2: weight of a new round trip. */
const RTT_WEIGHT = 1 / 8;

/** How a path does: its round trip, its loss, and since when nothing has been heard although something was asked. */
export class PathMonitor {
  /** Smoothed; undefined before the first answer. */
  rttMs: number | undefined;
  /** When something authentic came over it last. */
  heardAt: Instant = Number.NEGATIVE_INFINITY;
  readonly #random: RandomBytes;
  /** When each probe that waits for its answer was sent, the oldest first. */
  readonly #waiting = new Map<string, Instant>();
  /** Of the last probes that ended: lost or not. */
  readonly #lost: boolean[] = [];
  /** The first thing that was asked after the last thing was heard. */
  #askedAt: Instant = NEVER;
  #probedAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** Something was proven to get through both ways. */
  get proven(): boolean {
    return this.rttMs !== undefined;
  }

  /** 0 to 1. */
  get loss(): number {
    return this.#lost.length === 0 ? 0 : this.#lost.filter(Boolean).length / this.#lost.length;
  }

  /** For how long something that was asked has had no answer of any kind; 0 when nothing is open. */
  silentMs(now: Instant): number {
    return this.#askedAt === NEVER ? 0 : now - this.#askedAt;
  }

  /** Something authentic came over this path. */
  heard(now: Instant): void {
    this.heardAt = now;
    this.#askedAt = NEVER;
  }

  /** The token of a new challenge that is sent now. */
  probe(now: Instant): string {
    this.#expire(now);
    const token = this.#random(TOKEN_BYTES).toHex();
    this.#waiting.set(token, now);
    this.#probedAt = now;
    this.#askedAt = Math.min(this.#askedAt, now);
    return token;
  }

  /** True: the answer to one of our challenges, come over this very path. */
  answered(now: Instant, token: string): boolean {
    const sentAt = this.#waiting.get(token);
    if (sentAt === undefined) return false;
    this.#waiting.delete(token);
    this.#count(false);
    const sample = now - sentAt;
    this.rttMs = this.rttMs === undefined ? sample : this.rttMs + RTT_WEIGHT * (sample - this.rttMs);
    return true;
  }

  /** When the next challenge is due. `active`: datagrams flow, or it is not proven yet. */
  nextProbe(active: boolean, keepaliveMs: number): Instant {
    const open = this.#askedAt !== NEVER;
    return this.#probedAt + (active ? PROBE_MS : open ? RETRY_MS : keepaliveMs);
  }

  #expire(now: Instant): void {
    for (const [token, sentAt] of this.#waiting) {
      if (now - sentAt < LOST_AFTER_MS) return;
      this.#waiting.delete(token);
      this.#count(true);
    }
  }

  #count(lost: boolean): void {
    this.#lost.push(lost);
    if (this.#lost.length > LOSS_WINDOW) this.#lost.shift();
  }
}
