import type { NatKind } from "../../core/nat/direct-way.ts";
import type { Reflex } from "../../core/nat/reflex.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { ipScope } from "../../core/net/ip.ts";

/** Where another host may reach a socket of the direct plane, unless something stands before it. */
export interface HostEndpoint {
  readonly endpoint: Endpoint;
  /** Its number among the sockets of the direct plane. */
  readonly socket: number;
}

/** What peers of this node go by: where its sockets can be reached. */
export interface NatView {
  /** The sockets of the direct plane. All that is said of NATs is said of the first. */
  readonly locals: readonly Endpoint[];
  /** This host's own addresses; of the first socket the one towards the gateway first. */
  readonly hosts: readonly HostEndpoint[];
  /** Undefined until it was found out. */
  readonly nat: NatKind | undefined;
  /** As STUN servers see the socket; undefined before the first check of it, null where they do not agree. */
  readonly mapped: Endpoint | null | undefined;
  readonly reflex: Reflex | null;
  readonly portMapping: Endpoint | undefined;
}

/** Of a socket on a host with these addresses; one that is bound to an address is reachable at no other. */
export function hostEndpoints(local: Endpoint, addresses: readonly string[], socket: number): HostEndpoint[] {
  const own = ipScope(local.address) === "unspecified" ? addresses : [local.address];
  return own.map((address) => ({ endpoint: { address, port: local.port }, socket }));
}
