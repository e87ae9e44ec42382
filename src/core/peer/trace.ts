import type { NatKind } from "../nat/direct-way.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Route } from "../pipe/path-choice.ts";
import type { PipeCounters } from "../pipe/pipe.ts";
import type { Instant } from "../time.ts";
import type { AttemptReport, DirectPath, PipeId } from "./peer-event.ts";
import type { HardNatMode } from "./peer-options.ts";

/** One thing that happened in an attempt. */
export interface TraceStep {
  /** Since the attempt was started. */
  readonly atMs: number;
  readonly what: string;
  readonly detail: string;
}

/** One attempt to go direct, as it went. */
export interface AttemptTrace {
  readonly attempt: number;
  readonly startedAt: Instant;
  readonly steps: readonly TraceStep[];
  /** Steps beyond the bound. */
  readonly omitted: number;
  /** Null while it goes on. */
  readonly report: AttemptReport | null;
}

/** What one end knows of a pipe: plain data, fit for JSON. */
export interface PipeExplanation {
  readonly pipe: PipeId;
  readonly peer: string;
  readonly service: string;
  readonly role: "initiator" | "responder";
  readonly state: "waiting" | "opening" | "open";
  readonly route: Route;
  readonly direct: DirectPath | null;
  readonly relayRttMs: number | null;
  readonly directRttMs: number | null;
  readonly mode: HardNatMode;
  readonly ownNat: NatKind;
  readonly peerNat: NatKind | null;
  readonly peerReflex: Endpoint | null;
  /** The last ones, oldest first. */
  readonly attempts: readonly AttemptTrace[];
  /** When the next attempt may begin, if one is to; it waits for datagrams. */
  readonly retryInMs: number | null;
  /** Why nothing is tried at all. */
  readonly verdict: string;
  readonly counters: PipeCounters | null;
}

const MAX_STEPS = 64;

/** Writes down what an attempt does; the first 64 steps of it. */
export class Trace {
  readonly #startedAt: Instant;
  readonly #attempt: number;
  readonly #steps: TraceStep[] = [];
  #omitted = 0;
  #report: AttemptReport | null = null;

  constructor(now: Instant, attempt: number) {
    this.#startedAt = now;
    this.#attempt = attempt;
  }

  step(now: Instant, what: string, detail = ""): void {
    if (this.#steps.length === MAX_STEPS) this.#omitted += 1;
    else this.#steps.push({ atMs: Math.round(now - this.#startedAt), what, detail });
  }

  end(report: AttemptReport): void {
    this.#report = report;
  }

  snapshot(): AttemptTrace {
    const [attempt, startedAt] = [this.#attempt, this.#startedAt];
    return { attempt, startedAt, steps: [...this.#steps], omitted: this.#omitted, report: this.#report };
  }
}
