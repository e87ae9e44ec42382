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

  snapshot(): TraversalSnapshot {
    return {
      punches_attempted: this.#punchesAttempted,
      punches_succeeded: this.#punchesSucceeded,
      relay_fallbacks: this.#relayFallbacks,
      port_mapping_active: this.#portMappingActive,
      port_mapping_external: this.#portMappingExternal,
      port_mapping_renewals: this.#portMappingRenewals,
    };
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
}
