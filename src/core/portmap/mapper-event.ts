import type { Endpoint } from "../net/endpoint.ts";
import type { GatewayRequest, PortMapFailureKind, PortMapProtocol } from "./protocol.ts";

/**
 * What the mapper tells. Four of them are the steps of net-mesh's stats: `installed` (record install), `renewed`
 * (record renewal), `replaced` (replace external) and `revoked` (record revoke). A mapping is to be advertised from
 * `installed` until `revoked`, and at no other time.
 */
export type PortMapperEvent =
  | { readonly type: "asking"; readonly protocol: PortMapProtocol }
  | ({ readonly type: "refused" } & ProtocolFailure)
  | ({ readonly type: "installed" } & InstalledMapping)
  | ({ readonly type: "renewed" } & InstalledMapping)
  /** Renewed with another external address or port. */
  | ({ readonly type: "replaced" } & InstalledMapping)
  | ({ readonly type: "renewal-failed"; readonly failures: number } & ProtocolFailure)
  | { readonly type: "revoked"; readonly external: Endpoint; readonly reason: RevokeReason }
  /**
   * The gateway holds the mapping, but its external address is private or shared: it stands behind another NAT, and
   * nobody outside reaches it. Not advertised, kept all the same: `installed` follows when it gets a public address.
   */
  | ({ readonly type: "behind-nat" } & InstalledMapping)
  /** No protocol got a mapping; tried again after `retryMs`. */
  | { readonly type: "unavailable"; readonly failures: readonly ProtocolFailure[]; readonly retryMs: number }
  /** Somebody outside is to send to `external`; what came of it goes to `handleVerified`. */
  | { readonly type: "verify"; readonly external: Endpoint }
  /** To be made by the shell (`io/gateway-http.ts`); its end goes to `handleHttp`. */
  | { readonly type: "request"; readonly protocol: PortMapProtocol; readonly request: GatewayRequest }
  /** The gateway that was left for another network: it may hold a mapping until its lease ends, and is told nothing more. */
  | { readonly type: "abandoned"; readonly gateway: string; readonly protocols: readonly PortMapProtocol[] }
  /** After `stop`: nothing more will happen. `left` may still hold a mapping until its lease ends. */
  | { readonly type: "stopped"; readonly left: readonly PortMapProtocol[] };

export interface InstalledMapping {
  readonly protocol: PortMapProtocol;
  readonly external: Endpoint;
  /** `Infinity` without end. */
  readonly leaseSeconds: number;
}

export interface ProtocolFailure {
  readonly protocol: PortMapProtocol;
  readonly kind: PortMapFailureKind | "not-reached";
  readonly message: string;
}

export type RevokeReason =
  | "stopped"
  /** Three renewals failed, or the lease ended before. */
  | "renewal-failed"
  /** The gateway lost its state, or changed its address: `installed` follows when it has the mapping again. */
  | "gateway-restarted"
  | "gateway-changed"
  /** The gateway's new external address is a private one; `behind-nat` follows. */
  | "behind-nat";
