import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";

/** Source: seed "拨号失败指数退避（5→60s）", DESIGN "Lanes". */
export const BACKOFF_MIN_MS = 5_000;
export const BACKOFF_MAX_MS = 60_000;

export type PoolCommand = { readonly type: "dial"; readonly lane: number } | { readonly type: "close-idle" };

/** `closing`: it has been told goodbye for idleness and is still there. `waiting`: it dials again when its time comes. */
export type SlotState = "idle" | "dialing" | "open" | "closing" | "waiting";

export interface LaneSlot {
  readonly state: SlotState;
  /** Of a waiting one. */
  readonly retryInMs: number | null;
}

interface Slot {
  state: SlotState;
  /** When a waiting slot dials. */
  dialAt: Instant;
  /** Attempts in a row that came to nothing: refused, timed out, or hung up before a word. */
  failures: number;
  /** When it was last dialled at once because a working lane had broken. */
  hurriedAt: Instant;
}

/**
 * When the client dials which lane, and when it lets them go. Traffic dials all lanes at once; a lane that broke after
 * it had worked is dialled at once, then with backoff 5 → 60 s and full jitter; silence of `idleMs` closes them all.
 *
 * One rule goes beyond a lane's own backoff: while datagrams wait and no lane is open, some lane is dialled at least
 * every `BACKOFF_MIN_MS`, and when one proves to work the others follow at once. So a server that was away for an hour
 * costs its users no more than five seconds on top. Only a sign of life from the server is proof: with TLS 1.3 a lane
 * opens before the server has looked at its certificate, and a client that is refused must not hammer.
 *
 * Events go in (`demand`, `opened`, `proven`, `failed`, `closed`, `handleTimeout`), commands come out of `pollCommand`.
 */
export class LanePool {
  readonly #slots: Slot[];
  readonly #idleMs: number;
  readonly #random: () => number;
  readonly #commands: PoolCommand[] = [];
  #lastActivity: Instant = Number.NEGATIVE_INFINITY;
  #lastDial: Instant = Number.NEGATIVE_INFINITY;
  #isReleased = false;
  /** Lanes dialled again after one broke or failed. */
  redials = 0;

  /** `random` returns [0, 1) and spreads the redials of many clients. */
  constructor(options: { lanes: number; idleMs: number; random: () => number }) {
    this.#slots = Array.from({ length: options.lanes }, () => ({
      state: "idle",
      dialAt: NEVER,
      failures: 0,
      hurriedAt: Number.NEGATIVE_INFINITY,
    }));
    this.#idleMs = options.idleMs;
    this.#random = options.random;
  }

  state(lane: number): SlotState {
    return this.#slots[lane]?.state ?? "idle";
  }

  /** Of every lane, by its number. */
  slots(now: Instant): LaneSlot[] {
    return this.#slots.map(({ state, dialAt }) => ({
      state,
      retryInMs: state === "waiting" ? Math.max(0, dialAt - now) : null,
    }));
  }

  get openLanes(): number {
    let open = 0;
    // Asked for each datagram: no allocation.
    for (const slot of this.#slots) if (slot.state === "open") open++;
    return open;
  }

  /** A datagram passed in either direction, or lanes are wanted at start (`tcp.prewarm`). */
  demand(now: Instant): void {
    this.#lastActivity = now;
    this.#isReleased = false;
    for (const [lane, slot] of this.#slots.entries()) if (slot.state === "idle") this.#dial(now, lane);
  }

  /** The cheap form of `demand` for each batch of a tunnel whose lanes are up. */
  touch(now: Instant): void {
    this.#lastActivity = now;
  }

  /** One lane is wanted, to see whether the server is there. */
  probe(now: Instant): void {
    this.#lastActivity = now;
    this.#isReleased = false;
    if (this.#slots.every(({ state }) => state === "idle")) this.#dial(now, 0);
  }

  /** No lane is wanted until the next `demand` or `probe`. Those that are open are the caller's to end. */
  release(): void {
    this.#isReleased = true;
    this.#restAll();
  }

  /** A dial became a lane; whether the server will have it is yet to be seen. */
  opened(_now: Instant, lane: number): void {
    const slot = this.#slot(lane);
    slot.state = "open";
    slot.dialAt = NEVER;
  }

  /** The server has answered or sent data over this lane. */
  proven(now: Instant, lane: number): void {
    const slot = this.#slot(lane);
    if (slot.state !== "open" && slot.state !== "closing") return;
    slot.failures = 0;
    // The server is there again: what holds the others back is a failure that is over.
    for (const [other, waiting] of this.#slots.entries()) if (waiting.state === "waiting") this.#redial(now, other);
  }

  /** A dial did not become a lane. */
  failed(now: Instant, lane: number): void {
    if (this.#isIdle(now)) this.#rest(this.#slot(lane));
    else this.#wait(now, lane);
  }

  /** A lane ended. `worked`: the server had acknowledged it or had sent data. */
  closed(now: Instant, lane: number, worked: boolean): void {
    const slot = this.#slot(lane);
    if (worked) slot.failures = 0;
    if (this.#isIdle(now)) this.#rest(slot);
    else if (slot.state === "closing") this.#dial(now, lane);
    else if (worked && now - slot.hurriedAt >= BACKOFF_MIN_MS) {
      slot.hurriedAt = now;
      this.#redial(now, lane);
    } else this.#wait(now, lane);
  }

  nextTimeout(): Instant {
    let next = this.openLanes > 0 && !this.#isReleased ? this.#lastActivity + this.#idleMs : NEVER;
    for (const slot of this.#slots) if (slot.state === "waiting") next = Math.min(next, slot.dialAt);
    return next;
  }

  handleTimeout(now: Instant): void {
    if (this.#isIdle(now)) {
      if (!this.#isReleased) this.#goIdle();
      return;
    }
    for (const [lane, slot] of this.#slots.entries())
      if (slot.state === "waiting" && slot.dialAt <= now) this.#redial(now, lane);
  }

  pollCommand(): PoolCommand | undefined {
    return this.#commands.shift();
  }

  #isIdle(now: Instant): boolean {
    return this.#isReleased || now - this.#lastActivity >= this.#idleMs;
  }

  #goIdle(): void {
    const open = this.openLanes > 0;
    this.#restAll();
    if (open) this.#commands.push({ type: "close-idle" });
  }

  /** Lanes that are still being dialled open later, and their turn comes then. */
  #restAll(): void {
    for (const slot of this.#slots) {
      if (slot.state === "waiting") this.#rest(slot);
      else if (slot.state === "open") slot.state = "closing";
    }
  }

  #rest(slot: Slot): void {
    slot.state = "idle";
    slot.dialAt = NEVER;
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
