import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";

/** Source: seed "拨号失败指数退避（5→60s）", DESIGN "Lanes". */
export const BACKOFF_MIN_MS = 5_000;
export const BACKOFF_MAX_MS = 60_000;

export type PoolCommand = { readonly type: "dial"; readonly lane: number } | { readonly type: "close-idle" };

export type SlotState = "idle" | "dialing" | "open" | "waiting";

interface Slot {
  state: SlotState;
  /** When a waiting slot dials. */
  dialAt: Instant;
  failures: number;
}

/**
 * When the client dials which lane, and when it lets them go. Traffic dials all lanes at once; a lane that broke after
 * it had worked is dialled at once, then with backoff 5 → 60 s and full jitter; silence of `idleMs` closes them all.
 *
 * One rule goes beyond a lane's own backoff: while datagrams wait and no lane is open, some lane is dialled at least
 * every `BACKOFF_MIN_MS`, and when one comes up the others follow at once. So a server that was away for an hour costs
 * its users no more than five seconds on top.
 *
 * Events go in (`demand`, `opened`, `failed`, `closed`, `handleTimeout`), commands come out of `pollCommand`.
 */
export class LanePool {
  readonly #slots: Slot[];
  readonly #idleMs: number;
  readonly #random: () => number;
  readonly #commands: PoolCommand[] = [];
  #lastActivity: Instant = Number.NEGATIVE_INFINITY;
  #lastDial: Instant = Number.NEGATIVE_INFINITY;
  #closing = false;
  /** Lanes dialled again after one broke or failed. */
  redials = 0;

  /** `random` returns [0, 1) and spreads the redials of many clients. */
  constructor(options: { lanes: number; idleMs: number; random: () => number }) {
    this.#slots = Array.from({ length: options.lanes }, () => ({ state: "idle", dialAt: NEVER, failures: 0 }));
    this.#idleMs = options.idleMs;
    this.#random = options.random;
  }

  state(lane: number): SlotState {
    return this.#slots[lane]?.state ?? "idle";
  }

  get openLanes(): number {
    return this.#slots.filter((slot) => slot.state === "open").length;
  }

  /** A datagram passed in either direction, or lanes are wanted at start (`tcp.prewarm`). */
  demand(now: Instant): void {
    this.#lastActivity = now;
    this.#closing = false;
    for (const [lane, slot] of this.#slots.entries()) if (slot.state === "idle") this.#dial(now, lane);
  }

  /** The cheap form of `demand` for each batch of a tunnel whose lanes are up. */
  touch(now: Instant): void {
    this.#lastActivity = now;
  }

  opened(now: Instant, lane: number): void {
    const slot = this.#slot(lane);
    slot.state = "open";
    slot.dialAt = NEVER;
    slot.failures = 0;
    // The server is there again: what holds the others back is a failure that is over.
    for (const [other, waiting] of this.#slots.entries()) if (waiting.state === "waiting") this.#redial(now, other);
  }

  /** A dial did not become a lane. */
  failed(now: Instant, lane: number): void {
    this.#wait(now, lane);
  }

  /** An open lane ended. `worked`: it had been acknowledged or had carried data. */
  closed(now: Instant, lane: number, worked: boolean): void {
    const slot = this.#slot(lane);
    if (this.#closing || this.#isIdle(now)) {
      slot.state = "idle";
      slot.dialAt = NEVER;
    } else if (worked) {
      this.#redial(now, lane);
    } else {
      this.#wait(now, lane);
    }
  }

  nextTimeout(): Instant {
    let next = this.openLanes > 0 && !this.#closing ? this.#lastActivity + this.#idleMs : NEVER;
    for (const slot of this.#slots) if (slot.state === "waiting") next = Math.min(next, slot.dialAt);
    return next;
  }

  handleTimeout(now: Instant): void {
    if (this.#isIdle(now)) {
      this.#goIdle();
      return;
    }
    for (const [lane, slot] of this.#slots.entries())
      if (slot.state === "waiting" && slot.dialAt <= now) this.#redial(now, lane);
  }

  pollCommand(): PoolCommand | undefined {
    return this.#commands.shift();
  }

  #isIdle(now: Instant): boolean {
    return now - this.#lastActivity >= this.#idleMs;
  }

  #goIdle(): void {
    for (const slot of this.#slots) {
      if (slot.state !== "waiting") continue;
      slot.state = "idle";
      slot.dialAt = NEVER;
    }
    if (this.openLanes > 0 && !this.#closing) {
      this.#closing = true;
      this.#commands.push({ type: "close-idle" });
    }
  }

  #dial(now: Instant, lane: number): void {
    const slot = this.#slot(lane);
    slot.state = "dialing";
    slot.dialAt = NEVER;
    this.#lastDial = now;
    this.#commands.push({ type: "dial", lane });
  }

  #redial(now: Instant, lane: number): void {
    this.redials++;
    this.#dial(now, lane);
  }

  #wait(now: Instant, lane: number): void {
    const slot = this.#slot(lane);
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** slot.failures);
    slot.failures++;
    slot.state = "waiting";
    slot.dialAt = now + this.#random() * ceiling;
    if (this.#slots.every((other) => other.state === "waiting")) this.#hurryOne();
  }

  /** Nobody is connected or trying: the lane whose turn comes first tries within `BACKOFF_MIN_MS` of the last dial. */
  #hurryOne(): void {
    const first = this.#slots.reduce((best, slot) => (slot.dialAt < best.dialAt ? slot : best));
    first.dialAt = Math.min(first.dialAt, this.#lastDial + BACKOFF_MIN_MS);
  }

  #slot(lane: number): Slot {
    const slot = this.#slots[lane];
    if (slot === undefined) throw new RangeError(`lane ${lane} of ${this.#slots.length}`);
    return slot;
  }
}
