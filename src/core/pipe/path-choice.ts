import type { Instant } from "../time.ts";
import type { PathMonitor } from "./path-monitor.ts";

/** `p2p.prefer`. */
export type PathPreference = "auto" | "direct" | "relay";

/** Where a datagram goes. `both`: the chosen path may be dying, and what comes twice counts once. */
export type Route = "relay" | "direct" | "both";

/** Direct is taken while its round trip is at most 1.25 × the relay's + 10 ms, and its loss below 5 %. */
const TAKE = { factor: 1.25, plusMs: 10, loss: 0.05 };
/** Once taken it is kept a little longer, so that a path on the edge does not flap. */
const KEEP = { factor: 1.5, plusMs: 20, loss: 0.1 };

/** A direct path that was taken is kept for so long, unless it is gone. */
const DWELL_MS = 5_000;
/** One that was left so soon is not to be trusted: the next one waits twice as long as the last one did. */
const STEADY_MS = 30_000;
const MAX_WAIT_MS = 60_000;

/** Which path a pipe sends on, as DESIGN "Choice" has it. It asks the monitors and keeps only what it chose last. */
export class PathChoice {
  readonly #prefer: PathPreference;
  #isDirect = false;
  #takenAt: Instant = Number.NEGATIVE_INFINITY;
  #waitMs = DWELL_MS;
  /** Direct is not taken again before. */
  #waitUntil: Instant = Number.NEGATIVE_INFINITY;

  constructor(prefer: PathPreference) {
    this.#prefer = prefer;
  }

  /** `direct` undefined: there is none that was proven. */
  route(now: Instant, relay: PathMonitor, direct: PathMonitor | undefined): Route {
    if (direct === undefined) {
      if (this.#isDirect) this.#leave(now);
      return "relay";
    }
    const wanted = this.#wants(relay, direct);
    if (wanted && !this.#isDirect && now >= this.#waitUntil) this.#take(now);
    else if (!wanted && this.#isDirect && now - this.#takenAt >= DWELL_MS) this.#leave(now);
    if (this.#isDirect) return direct.isDoubtful(now) ? "both" : "direct";
    return now >= relay.silentAt ? "both" : "relay";
  }

  #wants(relay: PathMonitor, { rttMs = 0, loss }: PathMonitor): boolean {
    if (this.#prefer !== "auto") return this.#prefer === "direct";
    const limit = this.#isDirect ? KEEP : TAKE;
    // Both are asked at the same time: one that has answered is the shorter one while the relay has not.
    const isSlow = relay.rttMs !== undefined && rttMs > limit.factor * relay.rttMs + limit.plusMs;
    return !isSlow && loss < limit.loss;
  }

  #take(now: Instant): void {
    this.#isDirect = true;
    this.#takenAt = now;
  }

  #leave(now: Instant): void {
    const wasSteady = now - this.#takenAt >= STEADY_MS;
    this.#waitMs = wasSteady ? DWELL_MS : Math.min(2 * this.#waitMs, MAX_WAIT_MS);
    this.#waitUntil = now + this.#waitMs;
    this.#isDirect = false;
  }
}
