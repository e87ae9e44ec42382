import { type Instant, NEVER } from "../time.ts";
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS } from "./lane-pool.ts";

/** `failed`: the server in use is gone. `returned`: one that stands before it in the list answers again. */
export type MoveReason = "failed" | "returned";

export type ChoiceCommand =
  /** See whether it answers: with one lane, while everything else stays as it is. */
  | { readonly type: "try"; readonly server: number }
  /** It has answered: everything goes there from now on. Lanes to `from` that are up still bring what is under way. */
  | { readonly type: "move"; readonly from: number; readonly to: number; readonly reason: MoveReason }
  /** Its connections are of no use. */
  | { readonly type: "leave"; readonly server: number };

/** The server in use has not come up for so long: the next one is tried beside it. */
export const PATIENCE_MS = 3_000;
/** It was up and is being dialled again: most that come back have done so by then. */
export const LOSS_PATIENCE_MS = 1_000;
/** An open lane that is not closed for so long was not refused, though its peer may speak only DATA and say nothing. */
const SILENT_PROOF_MS = 2_000;
/** After a return, what is under way over the other server has so long to arrive. */
const OVERLAP_MS = 2_000;
/** A server that fails again within so long of the return to it was not worth it. */
const STEADY_MS = 300_000;
const LONGEST_REST_MS = 300_000;

interface Server {
  /** `tried`: asked for one lane. `open`: a connection that nothing has come over yet. */
  state: "down" | "tried" | "open" | "up";
  openedAt: Instant;
  /** A server that failed is not tried again before. */
  retryAt: Instant;
  /** It is not used any more, and left then. */
  leaveAt: Instant;
}

/**
 * Which server of a list a client uses: the first that works, and no other for longer than need be. A server is moved to
 * when it has answered, never before (make before break). The one in use has failed when none of its connections is up
 * and a dial came to nothing, or too much time has passed; then the others are tried in their order, one beside the
 * other. Away from the first, those before the one in use are tried with backoff 5 → 60 s, and from a rest of twice as
 * long each time, up to five minutes, after a return that did not last: no flapping.
 *
 * All that only while something is wanted: who has nothing to send bothers no server. The lanes' own redials
 * (`LanePool`) go on beside it.
 */
export class ServerChoice {
  readonly #servers: readonly Server[];
  readonly #idleMs: number;
  readonly #random: () => number;
  readonly #commands: ChoiceCommand[] = [];
  #current = 0;
  #wantedAt: Instant = Number.NEGATIVE_INFINITY;
  /** Nothing is wanted, so nothing is tried. */
  #isResting = true;
  /** When the next stand-in may be tried; NEVER while the server in use works. */
  #standInAt: Instant = NEVER;
  /** When a better server is tried; NEVER while that is being done. */
  #betterAt: Instant = NEVER;
  #betterPauseMs = BACKOFF_MIN_MS;
  /** How long a server that was left rests before it is tried. */
  #restMs = BACKOFF_MIN_MS;
  #returnedAt: Instant = Number.NEGATIVE_INFINITY;

  /** `servers`: how many. `idleMs`: after so long without `wanted` nothing is wanted. `random`: uniform in [0, 1). */
  constructor(options: { servers: number; idleMs: number; random: () => number }) {
    this.#servers = Array.from({ length: options.servers }, () => ({
      state: "down",
      openedAt: NEVER,
      retryAt: Number.NEGATIVE_INFINITY,
      leaveAt: NEVER,
    }));
    this.#idleMs = options.idleMs;
    this.#random = options.random;
  }

  /** The server in use. */
  get current(): number {
    return this.#current;
  }

  /** Something wants to go, or came. Cheap, as it is called for each datagram; true: `nextTimeout` may be sooner now. */
  wanted(now: Instant): boolean {
    this.#wantedAt = now;
    const isMissing = this.#standInAt === NEVER && this.#at(this.#current).state === "down";
    if (!this.#isResting && !isMissing) return false;
    this.#isResting = false;
    if (isMissing) this.#standInAt = now + PATIENCE_MS;
    return true;
  }

  /** A connection to it is up; whether it will have us is yet to be seen. */
  opened(now: Instant, server: number): void {
    const one = this.#at(server);
    if (one.state === "up" || one.state === "open") return;
    one.state = "open";
    one.openedAt = now;
  }

  /** It has said something. */
  answered(now: Instant, server: number): void {
    const one = this.#at(server);
    if (one.state === "up") return;
    one.state = "up";
    if (server === this.#current) this.#settle(now);
    else if (server < this.#current || this.#at(this.#current).state === "down") this.#move(now, server);
    // One that is open may be about to answer, too.
    else if (this.#at(this.#current).state === "up") this.#leave(server);
  }

  /** Its last connection has ended, and had worked. It is being dialled again, if anything is wanted. */
  lost(now: Instant, server: number): void {
    this.#down(now, server, LOSS_PATIENCE_MS);
  }

  /** A dial came to nothing, or a connection ended before it was of use, and no other one is up. */
  failed(now: Instant, server: number): void {
    this.#down(now, server, 0);
  }

  nextTimeout(): Instant {
    let next = this.#isResting ? NEVER : Math.min(this.#nextStandInAt(), this.#betterAt);
    for (const { state, openedAt, leaveAt } of this.#servers)
      next = Math.min(next, leaveAt, state === "open" ? openedAt + SILENT_PROOF_MS : NEVER);
    return next;
  }

  handleTimeout(now: Instant): void {
    for (const [server, one] of this.#servers.entries()) {
      if (one.leaveAt <= now) this.#leave(server);
      if (one.state === "open" && one.openedAt + SILENT_PROOF_MS <= now) this.answered(now, server);
    }
    if (!this.#isWanted(now)) {
      this.#isResting = true;
      this.#standInAt = NEVER;
      return;
    }
    if (this.#nextStandInAt() <= now) this.#tryStandIn(now);
    if (this.#betterAt <= now) this.#tryBetter();
  }

  pollCommand(): ChoiceCommand | undefined {
    return this.#commands.shift();
  }

  #isWanted(now: Instant): boolean {
    return now - this.#wantedAt < this.#idleMs;
  }

  #down(now: Instant, server: number, patienceMs: number): void {
    const one = this.#at(server);
    if (server === this.#current) {
      one.state = "down";
      this.#currentDown(now, patienceMs);
      return;
    }
    // It has been left, and this is what became of it.
    if (one.state === "down") return;
    one.retryAt = now + this.#jittered(BACKOFF_MIN_MS);
    this.#leave(server);
    // The next one need not wait for its turn.
    if (this.#standInAt !== NEVER) this.#standInAt = now;
    if (server < this.#current && this.#betterAt === NEVER) this.#restBetter(now);
  }

  #currentDown(now: Instant, patienceMs: number): void {
    const other = this.#servers.findIndex(({ state }) => state === "up");
    if (other >= 0) this.#move(now, other);
    else if (this.#isWanted(now)) this.#standInAt = Math.min(this.#standInAt, now + patienceMs);
  }

  /** The server in use works. */
  #settle(now: Instant): void {
    this.#standInAt = NEVER;
    for (const [server, { state, leaveAt }] of this.#servers.entries())
      if (server > this.#current && state !== "down" && leaveAt === NEVER) this.#leave(server);
    if (this.#current > 0 && this.#betterAt === NEVER) this.#restBetter(now);
  }

  #move(now: Instant, to: number): void {
    const from = this.#current;
    const reason: MoveReason = to < from ? "returned" : "failed";
    const left = this.#at(from);
    this.#current = to;
    this.#at(to).leaveAt = NEVER;
    if (reason === "returned") this.#returnedAt = now;
    else
      this.#restMs = now - this.#returnedAt < STEADY_MS ? Math.min(this.#restMs * 2, LONGEST_REST_MS) : BACKOFF_MIN_MS;
    this.#commands.push({ type: "move", from, to, reason });
    if (left.state === "up") left.leaveAt = now + OVERLAP_MS;
    else this.#leave(from);
    this.#betterPauseMs = this.#restMs;
    this.#betterAt = NEVER;
    this.#settle(now);
  }

  #leave(server: number): void {
    const one = this.#at(server);
    one.state = "down";
    one.leaveAt = NEVER;
    this.#commands.push({ type: "leave", server });
  }

  /** When a stand-in may be tried that has not been for a while. */
  #nextStandInAt(): Instant {
    if (this.#standInAt === NEVER) return NEVER;
    let next = NEVER;
    for (const [server, { state, retryAt }] of this.#servers.entries())
      if (server !== this.#current && state === "down") next = Math.min(next, retryAt);
    return Math.max(next, this.#standInAt);
  }

  /** The first in the list of those that were not tried lately. */
  #tryStandIn(now: Instant): void {
    const server = this.#servers.findIndex(
      ({ state, retryAt }, index) => index !== this.#current && state === "down" && retryAt <= now,
    );
    if (server < 0) return;
    this.#try(server);
    this.#standInAt = now + PATIENCE_MS;
  }

  #tryBetter(): void {
    this.#betterAt = NEVER;
    for (let server = 0; server < this.#current; server++) if (this.#at(server).state === "down") this.#try(server);
  }

  #restBetter(now: Instant): void {
    this.#betterAt = now + this.#jittered(this.#betterPauseMs);
    this.#betterPauseMs = Math.max(this.#restMs, Math.min(this.#betterPauseMs * 2, BACKOFF_MAX_MS));
  }

  #try(server: number): void {
    this.#at(server).state = "tried";
    this.#commands.push({ type: "try", server });
  }

  #jittered(ms: number): number {
    return ms * (0.5 + this.#random() / 2);
  }

  #at(server: number): Server {
    const one = this.#servers[server];
    if (one === undefined) throw new RangeError(`server ${server} of ${this.#servers.length}`);
    return one;
  }
}
