import type { Endpoint } from "../net/endpoint.ts";
import type { PathCounts } from "../peer/path-totals.ts";
import type { PipeExplanation } from "../peer/trace.ts";
import type { PortMapProtocol } from "../portmap/protocol.ts";
import type { NatReport } from "./nat-report.ts";
import type { Reflex } from "./reflex.ts";
import type { TraversalSnapshot } from "./traversal-stats.ts";

/**
 * What a process knows of going direct, beside what its roles do: read by `/api/status` and `/metrics`. A snapshot, made
 * when asked for. Nothing in it says whether traffic flows: it does, over the lanes.
 */
export interface TraversalStatus {
  readonly stats: TraversalSnapshot;
  /** Null where this node does not look at its network (`nat.watch`). */
  readonly network: NetworkStatus | null;
  /** Every pipe of this node: where its datagrams go, and why. */
  readonly pipes: readonly PipeExplanation[];
  /** Of all pipes, those that are gone included; null where this node can have none. */
  readonly plane: PlaneStatus | null;
}

/** What pipes have come to since the process began. */
export interface PlaneStatus {
  readonly paths: PathCounts;
  /** Datagrams that were not sent because this host would have sent them into one of its tunnels. */
  readonly tunnelRefused: number;
  /** Errors of this program that it survived, most of which have cost a pipe. */
  readonly faults: number;
}

/** What `nat.watch` found out. */
export interface NetworkStatus {
  /** The UDP socket that all of this is about. */
  readonly listen: Endpoint;
  /** The one of IPv6 beside it, for peers; null where there is none. */
  readonly listen6: Endpoint | null;
  /** The last check's; null while the first one runs. */
  readonly nat: NatReport | null;
  /** When that check ended, ISO 8601. */
  readonly checkedAt: string | null;
  readonly checks: number;
  /** How often a check came to another type than the one before it. */
  readonly changes: number;
  /** What this node would tell others as its address; null where it does not know. */
  readonly reflex: Reflex | null;
  readonly portMapping: PortMappingStatus | null;
}

export interface PortMappingStatus {
  readonly protocol: PortMapProtocol;
  readonly external: Endpoint;
  /** Something sent from outside to `external` arrived; null where nobody could be asked to try. */
  readonly verified: boolean | null;
}
