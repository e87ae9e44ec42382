import type { NatKind } from "../core/nat/direct-way.ts";
import type { Reflex } from "../core/nat/reflex.ts";
import type { Endpoint } from "../core/net/endpoint.ts";

/** What peers of this node go by: where its socket can be reached. */
export interface NatView {
  /** The one socket of the direct plane. */
  readonly local: Endpoint;
  /** This host's own, the one towards the gateway first. */
  readonly addresses: readonly string[];
  /** Undefined until it was found out. */
  readonly nat: NatKind | undefined;
  /** As STUN servers see the socket; undefined before the first check of it, null where they do not agree. */
  readonly mapped: Endpoint | null | undefined;
  readonly reflex: Reflex | null;
  readonly portMapping: Endpoint | undefined;
}
