import { UtError } from "../../core/error.ts";
import type { TraversalStats } from "../../core/nat/traversal-stats.ts";
import type { PortMappingStatus } from "../../core/nat/traversal-status.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../core/net/endpoint.ts";
import type { InstalledMapping, ProtocolFailure } from "../../core/portmap/mapper-event.ts";
import type { Verdict } from "../../core/portmap/race.ts";
import type { Log } from "../../io/log/log.ts";
import type { PortMappingEvent } from "./port-mapping.ts";

/**
 * What a port mapping comes to, as it is told: the seed's stats, the log, `/api/status`. `advertised` and `outside` are
 * what others build on.
 */
export class PortMappingRecord {
  /** The first attempt came to an end, whichever. */
  readonly settled: Promise<void>;
  /** Once the gateway holds a mapping that others can reach. */
  advertised: Endpoint | undefined;
  /** The address outside of the gateway that holds a mapping, reachable or not. */
  outside: string | undefined;
  readonly #stats: TraversalStats;
  readonly #log: Log;
  readonly #settle: () => void;
  #verdict: { readonly external: Endpoint; readonly verdict: Verdict } | undefined;
  #mapping: InstalledMapping | undefined;
  #lastFailure: string | undefined;

  constructor(stats: TraversalStats, log: Log) {
    this.#stats = stats;
    this.#log = log;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
  }

  status(): PortMappingStatus | null {
    if (this.#mapping === undefined) return null;
    const { protocol, external } = this.#mapping;
    const look = this.#verdict;
    const isKnown = look !== undefined && look.verdict !== "unknown" && sameEndpoint(look.external, external);
    return { protocol, external, verified: isKnown ? look.verdict === "reached" : null };
  }

  /** What the outside probe said of `external`; the last one counts. */
  verified(external: Endpoint, verdict: Verdict): void {
    this.#verdict = { external, verdict };
  }

  handle(event: PortMappingEvent): void {
    switch (event.type) {
      case "asking":
      case "refused":
        return;
      case "installed":
        this.#stats.recordPortMappingInstall(event.external);
        this.#hold(event, event.external);
        this.#log.info("port_mapping_installed", {
          ...fieldsOf(event),
          verified: this.status()?.verified ?? undefined,
        });
        break;
      case "renewed":
        this.#stats.recordPortMappingRenewal();
        this.#log.debug("port_mapping_renewed", fieldsOf(event));
        break;
      case "replaced":
        this.#stats.recordPortMappingRenewal();
        this.#stats.replacePortMappingExternal(event.external);
        this.#log.info("port_mapping_changed", { ...fieldsOf(event), before: this.#external });
        this.#hold(event, event.external);
        break;
      case "behind-nat":
        this.#hold(event, undefined);
        this.#log.info("port_mapping_behind_nat", fieldsOf(event));
        break;
      case "revoked":
        this.#revoke(event.reason, event.external);
        break;
      case "abandoned":
        this.#log.warn("port_mapping_left", { gateway: event.gateway, protocols: event.protocols });
        return;
      case "renewal-failed":
        this.#log.warn("port_mapping_renewal_fail", { failures: event.failures, reason: textOf(event) });
        return;
      case "unavailable":
        this.#unavailable(event.failures, event.retryMs);
        break;
      case "stopped":
        this.#letGo();
        if (event.left.length > 0) this.#log.warn("port_mapping_left", { protocols: event.left });
        break;
      default:
        event satisfies never;
    }
    this.#settle();
  }

  get #external(): string | undefined {
    return this.#mapping === undefined ? undefined : formatEndpoint(this.#mapping.external);
  }

  #hold(mapping: InstalledMapping, advertised: Endpoint | undefined): void {
    this.#mapping = { protocol: mapping.protocol, external: mapping.external, leaseSeconds: mapping.leaseSeconds };
    this.advertised = advertised;
    this.outside = mapping.external.address;
    this.#lastFailure = undefined;
  }

  #letGo(): void {
    this.#mapping = undefined;
    this.advertised = undefined;
    this.outside = undefined;
  }

  #revoke(reason: string, external: Endpoint): void {
    this.#stats.recordPortMappingRevoke();
    this.#letGo();
    const fields = { external: formatEndpoint(external), reason };
    if (reason === "stopped") this.#log.info("port_mapping_revoked", fields);
    else this.#log.warn("port_mapping_revoked", fields);
  }

  /** It is tried again for ever, so the same reasons are told once. */
  #unavailable(failures: readonly ProtocolFailure[], retryMs: number): void {
    this.#letGo();
    const reasons = failures.map(textOf).join("; ");
    if (reasons === this.#lastFailure) return;
    this.#lastFailure = reasons;
    const err = new UtError("port-map-unavailable", `Cannot map a port: ${reasons}`);
    this.#log.info("port_mapping_unavailable", { err, retry_ms: Math.round(retryMs) });
  }
}

function fieldsOf({ protocol, external, leaseSeconds }: InstalledMapping) {
  // Without an end there is no number that JSON could hold.
  const lease = Number.isFinite(leaseSeconds) ? leaseSeconds : undefined;
  return { protocol, external: formatEndpoint(external), lease_seconds: lease };
}

function textOf({ protocol, message }: ProtocolFailure): string {
  return `${protocol}: ${message}`;
}
