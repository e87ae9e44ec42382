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

/** No challenge was answered for so long: nobody knows whether the path is still there. */
export const DOUBT_MS = 1_500;
/** For so long: it is not. */
export const DOWN_MS = 3_000;
const DOWN_PROBES = 3;

/**
 * How a path does: its round trip, its loss, and for how long its challenges have not been answered. Nothing but an
 * answer counts as life: other packets only show that the path works towards us, and anybody can repeat them.
 */
export class PathMonitor {
  /** Smoothed; undefined before the first answer. */
  rttMs: number | undefined;
  /** Challenges sent, ever. */
  probes = 0;
  /** When an answer came over it last. */
  #heardAt: Instant = Number.NEGATIVE_INFINITY;
  readonly #random: RandomBytes;
  /** When each probe that waits for its answer was sent, the oldest first. */
  readonly #waiting = new Map<string, Instant>();
  /** How each of the last probes ended, 1 for lost; those that were never sent count as answered. */
  readonly #ended = new Uint8Array(LOSS_WINDOW);
  #endedAt = 0;
  #lost = 0;
  /** The first probe after the last answer, and how many there were. */
  #askedAt: Instant = NEVER;
  #unanswered = 0;
  #probedAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** Something was proven to get through both ways. */
  get isProven(): boolean {
    return this.rttMs !== undefined;
  }

  /** Of the last 40 probes since it was proven, 0 to 1. */
  get loss(): number {
    return this.#lost / LOSS_WINDOW;
  }

  /** Silent from this time on, if no answer comes; `NEVER` when nothing is open. */
  get silentAt(): Instant {
    return this.#askedAt + DOUBT_MS;
  }

  /** What is sent now may be lost: it was asked, and the last answer is too long ago, after a rest for example. */
  isDoubtful(now: Instant): boolean {
    return this.#unanswered > 0 && now - this.#heardAt >= DOUBT_MS;
  }

  /**
   * It is gone. Under traffic the first probe follows the last answer within `PROBE_MS`. The count is for a process
   * that slept: what came meanwhile shall be read first.
   */
  isDown(now: Instant): boolean {
    return this.#unanswered >= DOWN_PROBES && now - this.#askedAt >= DOWN_MS - PROBE_MS;
  }

  /** The answer to a challenge of another kind came over this path. */
  heard(now: Instant): void {
    this.#heardAt = now;
    this.#askedAt = NEVER;
    this.#unanswered = 0;
  }

  /** The token of a new challenge that is sent now. */
  probe(now: Instant): string {
    this.#expire(now);
    const token = this.#random(TOKEN_BYTES).toHex();
    this.#waiting.set(token, now);
    this.#probedAt = now;
    this.#askedAt = Math.min(this.#askedAt, now);
    this.#unanswered += 1;
    this.probes += 1;
    return token;
  }

  /** True: the answer to one of our challenges, come over this very path. */
  answered(now: Instant, token: string): boolean {
    const sentAt = this.#waiting.get(token);
    if (sentAt === undefined) return false;
    this.#waiting.delete(token);
    this.heard(now);
    this.#count(0);
    const sample = now - sentAt;
    this.rttMs = this.rttMs === undefined ? sample : this.rttMs + RTT_WEIGHT * (sample - this.rttMs);
    return true;
  }

  /** When the next challenge is due. `isActive`: datagrams flow, or somebody waits for the answer. */
  nextProbe(isActive: boolean, keepaliveMs: number): Instant {
    return this.#probedAt + (isActive ? PROBE_MS : this.#unanswered > 0 ? RETRY_MS : keepaliveMs);
  }

  #expire(now: Instant): void {
    for (const [token, sentAt] of this.#waiting) {
      if (now - sentAt < LOST_AFTER_MS) return;
      this.#waiting.delete(token);
      // What is sent while the far NAT is still closed says nothing of the path.
      if (this.isProven) this.#count(1);
    }
  }

  #count(lost: 0 | 1): void {
    this.#lost += lost - (this.#ended[this.#endedAt] ?? 0);
    this.#ended[this.#endedAt] = lost;
    this.#endedAt = (this.#endedAt + 1) % LOSS_WINDOW;
  }
}
