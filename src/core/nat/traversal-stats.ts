import type { Endpoint } from "../net/endpoint.ts";

/**
 * What going direct came to so far. The names are those of the seed (net-mesh `TraversalStatsSnapshot`), in metrics and
 * in `/api/status` alike. `punches_…` and `relay_fallbacks` only ever grow.
 */
export interface TraversalSnapshot {
  /** Punches that the server mediated: both ends were introduced. What failed before that is none. */
  readonly punches_attempted: number;
  /** Those that became a direct path within their time; at most `punches_attempted`. */
  readonly punches_succeeded: number;
  /** Pipes that stayed on the relay although a direct path was wanted, counted once the relay carries them. */
  readonly relay_fallbacks: number;
  /** The gateway holds a port mapping, and its external address is the one that this node tells others. */
  readonly port_mapping_active: boolean;
  /** Undefined while there is no mapping. */
  readonly port_mapping_external: Endpoint | undefined;
  /** Renewals of the mapping that is, or was last, installed: a new one starts at 0. */
  readonly port_mapping_renewals: number;
  /** Attempts that ICE won, that hard-NAT punching won, and those that ended up in hard-NAT punching. */
  readonly ice_success: number;
  readonly hardnat_success: number;
  readonly fallback_entered: number;
  /** Attempts in which both ran side by side, by who won. */
  readonly assist_winner_ice: number;
  readonly assist_winner_hardnat: number;
  /** How long the attempts took that became a direct path. */
  readonly time_to_direct: { readonly count: number; readonly sumMs: number; readonly buckets: readonly number[] };
}

/** Upper bounds of `time_to_direct`; what took longer is beyond all of them. */
export const TIME_TO_DIRECT_BOUNDS_MS: readonly number[] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/** What counts of an attempt that ended (`AttemptReport`). */
export interface EndedAttempt {
  readonly mode: "off" | "fallback" | "assist" | "force";
  readonly winner: "ice" | "hardnat" | null;
  /** Nothing came of it, and traffic goes on over the relay; false for one that was cancelled. */
  readonly staysOnRelay: boolean;
  readonly elapsedMs: number;
  /** The server brought both ends together. */
  readonly wasMediated: boolean;
  /** Hard-NAT was begun, because ICE had failed or beside it. */
  readonly enteredHardNat: boolean;
}

/**
 * Counters of the direct plane, one for each process. Source: seed `net-mesh-traversal`, `TraversalStats`. They tell of
 * an optimisation: traffic flows over the lanes whatever stands here.
 */
export class TraversalStats {
  #punchesAttempted = 0;
  #punchesSucceeded = 0;
  #relayFallbacks = 0;
  #portMappingActive = false;
  #portMappingExternal: Endpoint | undefined;
  #portMappingRenewals = 0;
  #iceSuccess = 0;
  #hardNatSuccess = 0;
  #fallbackEntered = 0;
  #assistWinnerIce = 0;
  #assistWinnerHardNat = 0;
  readonly #timesToDirect = {
    count: 0,
    sumMs: 0,
    buckets: new Array<number>(TIME_TO_DIRECT_BOUNDS_MS.length + 1).fill(0),
  };

  snapshot(): TraversalSnapshot {
    return {
      punches_attempted: this.#punchesAttempted,
      punches_succeeded: this.#punchesSucceeded,
      relay_fallbacks: this.#relayFallbacks,
      port_mapping_active: this.#portMappingActive,
      port_mapping_external: this.#portMappingExternal,
      port_mapping_renewals: this.#portMappingRenewals,
      ice_success: this.#iceSuccess,
      hardnat_success: this.#hardNatSuccess,
      fallback_entered: this.#fallbackEntered,
      assist_winner_ice: this.#assistWinnerIce,
      assist_winner_hardnat: this.#assistWinnerHardNat,
      time_to_direct: { ...this.#timesToDirect, buckets: [...this.#timesToDirect.buckets] },
    };
  }

  /** An attempt to go direct ended. */
  recordAttempt({ mode, winner, staysOnRelay, elapsedMs, wasMediated, enteredHardNat }: EndedAttempt): void {
    if (wasMediated) this.recordPunchAttempt();
    if (enteredHardNat && mode === "fallback") this.#fallbackEntered += 1;
    if (staysOnRelay) this.recordRelayFallback();
    if (winner === null) return;
    if (wasMediated) this.recordPunchSuccess();
    if (winner === "ice") this.#iceSuccess += 1;
    else this.#hardNatSuccess += 1;
    if (mode === "assist" && winner === "ice") this.#assistWinnerIce += 1;
    if (mode === "assist" && winner === "hardnat") this.#assistWinnerHardNat += 1;
    this.#recordTimeToDirect(elapsedMs);
  }

  recordPunchAttempt(): void {
    this.#punchesAttempted += 1;
  }

  recordPunchSuccess(): void {
    this.#punchesSucceeded += 1;
  }

  recordRelayFallback(): void {
    this.#relayFallbacks += 1;
  }

  /** A mapping came about where there was none. */
  recordPortMappingInstall(external: Endpoint): void {
    this.#portMappingExternal = external;
    this.#portMappingRenewals = 0;
    this.#portMappingActive = true;
  }

  /** The gateway gave the same mapping a new lease. */
  recordPortMappingRenewal(): void {
    this.#portMappingRenewals += 1;
  }

  /** A renewal brought another external address: the gateway restarted, or its provider renumbered it. */
  replacePortMappingExternal(external: Endpoint): void {
    this.#portMappingExternal = external;
  }

  /** The mapping is gone: given back, refused, or not renewed three times in a row. */
  recordPortMappingRevoke(): void {
    this.#portMappingActive = false;
    this.#portMappingExternal = undefined;
  }

  #recordTimeToDirect(ms: number): void {
    const times = this.#timesToDirect;
    const index = TIME_TO_DIRECT_BOUNDS_MS.findIndex((bound) => ms <= bound);
    const bucket = index === -1 ? TIME_TO_DIRECT_BOUNDS_MS.length : index;
    times.count += 1;
    times.sumMs += ms;
    times.buckets[bucket] = (times.buckets[bucket] ?? 0) + 1;
  }
}
