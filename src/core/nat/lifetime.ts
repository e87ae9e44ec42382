import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import type { LifetimePath } from "./lifetime-path.ts";
import { LifetimeTrial } from "./lifetime-trial.ts";
import { Questions } from "./questions.ts";

/** Each one tries another length of silence at the same time. */
export const LIFETIME_SOCKETS = 4;
const SHORTEST_MS = 15_000;
/** Nobody waits longer between keepalives. */
const LONGEST_MS = 300_000;
const TOTAL_MS = 900_000;
/** What is known well enough: to a tenth, or a second. */
const PRECISION = 0.1;
const PRECISION_MS = 1_000;
/** A server that fails so often is left alone. */
const MAX_VOIDS = 2 * LIFETIME_SOCKETS;

export interface LifetimeOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly path: LifetimePath;
  /** Ends with what is known by then; 15 minutes. */
  readonly totalMs?: number;
}

/** Silence that a mapping survives, and silence that it does not, as far as known. `final` comes once, last. */
export interface LifetimeEvent {
  readonly type: "lifetime";
  readonly atLeastMs: number;
  readonly atMostMs?: number;
  readonly final: boolean;
}

/**
 * Measures in the background how long a NAT remembers a mapping that is not used (RFC 4787 §4.3), so that keepalives
 * are as rare as they may be. Several sockets are silent at the same time, each for longer; what is between the longest
 * that lived and the shortest that died is divided again. It ends within a tenth of the truth, or above five minutes,
 * or after `totalMs`. It takes `LIFETIME_SOCKETS` sockets of its own, and each of them sends a handful of packets per round.
 */
export class MappingLifetime implements Machine<LifetimeEvent> {
  readonly #path: LifetimePath;
  readonly #questions: Questions;
  readonly #deadline: Instant;
  readonly #events: LifetimeEvent[] = [];
  #now: Instant;
  #trials: LifetimeTrial[] = [];
  #atLeastMs = 0;
  #atMostMs = NEVER;
  #voids = 0;
  #ended = false;

  constructor({ now, random, path, totalMs = TOTAL_MS }: LifetimeOptions) {
    this.#path = path;
    this.#questions = new Questions(random);
    this.#now = now;
    this.#deadline = now + totalMs;
    this.#startRound(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    if (this.#ended) return;
    this.#questions.handleDatagram(now, datagram);
    this.#advance(now);
  }

  handleTimeout(now: Instant): void {
    if (this.#ended) return;
    this.#questions.handleTimeout(now);
    this.#advance(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#questions.pollTransmit();
  }

  pollEvent(): LifetimeEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    if (this.#ended) return NEVER;
    const due = this.#trials.map((trial) => trial.dueAt);
    return Math.min(this.#deadline, this.#questions.nextTimeout(this.#now), ...due);
  }

  #advance(now: Instant): void {
    this.#now = now;
    for (const trial of this.#trials) {
      const result = trial.advance(now);
      if (result === undefined) continue;
      this.#trials = this.#trials.filter((other) => other !== trial);
      if (result === "void") this.#voids++;
      else this.#learn(trial.silenceMs, result === "alive");
    }
    // What is longer than what has died is known already.
    this.#trials = this.#trials.filter(({ silenceMs }) => silenceMs < this.#atMostMs);
    if (now >= this.#deadline || this.#voids >= MAX_VOIDS || this.#isKnown()) this.#end();
    else if (this.#trials.length === 0) this.#startRound(now);
  }

  #learn(silenceMs: number, alive: boolean): void {
    if (alive) {
      this.#atLeastMs = Math.max(this.#atLeastMs, silenceMs);
      // A shorter one died: by mistake, or the NAT was short of memory. It is looked at again.
      if (this.#atMostMs <= this.#atLeastMs) this.#atMostMs = NEVER;
    } else if (silenceMs > this.#atLeastMs) this.#atMostMs = Math.min(this.#atMostMs, silenceMs);
    this.#tell(false);
  }

  #isKnown(): boolean {
    if (this.#atMostMs === NEVER) return this.#atLeastMs >= LONGEST_MS;
    return this.#atMostMs - this.#atLeastMs <= Math.max(PRECISION_MS, PRECISION * this.#atMostMs);
  }

  #startRound(now: Instant): void {
    this.#trials = this.#silences().map(
      (silenceMs, socket) => new LifetimeTrial(now, this.#questions, socket, this.#path, silenceMs),
    );
  }

  /** Doubling until something has died, then evenly between. */
  #silences(): number[] {
    const [low, high] = [this.#atLeastMs, this.#atMostMs];
    const numbers = Array.from({ length: LIFETIME_SOCKETS }, (_, i) => i + 1);
    if (high !== NEVER) return numbers.map((i) => low + ((high - low) * i) / (LIFETIME_SOCKETS + 1));
    const doubled = numbers.map((i) => Math.min(LONGEST_MS, low === 0 ? SHORTEST_MS * 2 ** (i - 1) : low * 2 ** i));
    return [...new Set(doubled)];
  }

  #end(): void {
    this.#ended = true;
    this.#trials = [];
    this.#tell(true);
  }

  #tell(final: boolean): void {
    const [atLeastMs, atMostMs] = [Math.round(this.#atLeastMs), Math.round(this.#atMostMs)];
    this.#events.push({ type: "lifetime", atLeastMs, ...(atMostMs !== NEVER && { atMostMs }), final });
  }
}
