import type { Instant } from "../time.ts";
import type { PathMonitor } from "./path-monitor.ts";

/** `p2p.prefer`. */
export type PathPreference = "auto" | "direct" | "relay";

/** Where a datagram goes. `both`: the direct path may be dying, and what comes twice counts once. */
export type Route = "relay" | "direct" | "both";

/** Nothing authentic for so long under traffic: the relay path gets a copy of everything. */
export const DOUBT_MS = 1_500;
/** For so long: the direct path is down. */
export const DOWN_MS = 3_000;
/** After a silence longer than this nobody knows whether the mapping in the NAT still lives. */
const STALE_MS = 5_000;
/** A planned switch is followed by no other for so long. */
const DWELL_MS = 5_000;

/** Direct is taken while its round trip is at most 1.25 × the relay's + 10 ms, and its loss below 5 %. */
const TAKE = { factor: 1.25, plusMs: 10, loss: 0.05 };
/** Once taken it is kept a little longer, so that a path on the edge does not flap. */
const KEEP = { factor: 1.5, plusMs: 20, loss: 0.1 };

/** Which path a pipe sends on, as DESIGN "Choice" has it. It asks the monitors and keeps only what it chose last. */
export class PathChoice {
  readonly #prefer: PathPreference;
  #direct = false;
  #chosenAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(prefer: PathPreference) {
    this.#prefer = prefer;
  }

  /** `direct` undefined: there is none that was proven. */
  route(now: Instant, relay: PathMonitor, direct: PathMonitor | undefined): Route {
    if (direct === undefined || !direct.proven) {
      this.#direct = false;
      return "relay";
    }
    this.#settle(now, relay, direct);
    if (!this.#direct) return "relay";
    const doubtful = direct.silentMs(now) >= DOUBT_MS || now - direct.heardAt >= STALE_MS;
    return doubtful ? "both" : "direct";
  }

  #settle(now: Instant, relay: PathMonitor, direct: PathMonitor): void {
    const wanted = this.#wants(relay, direct);
    if (wanted === this.#direct || now - this.#chosenAt < DWELL_MS) return;
    this.#direct = wanted;
    this.#chosenAt = now;
  }

  #wants(relay: PathMonitor, { rttMs = 0, loss }: PathMonitor): boolean {
    if (this.#prefer !== "auto") return this.#prefer === "direct";
    const limit = this.#direct ? KEEP : TAKE;
    // Nobody has measured the relay: then the shorter way is the better guess.
    const slow = relay.rttMs !== undefined && rttMs > limit.factor * relay.rttMs + limit.plusMs;
    return !slow && loss < limit.loss;
  }
}
