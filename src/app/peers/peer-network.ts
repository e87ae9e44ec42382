import type { Endpoint } from "../../core/net/endpoint.ts";
import type { PeerNetwork } from "../../core/peer/peer-options.ts";
import type { NatView } from "../nat/nat-view.ts";

/** All that is known of NATs and of outside addresses is so of the watch's first socket. */
const NAT_SOCKET = 0;

/** Of a node that has no socket to go direct from. */
export const UNKNOWN_NETWORK: PeerNetwork = {
  nat: { type: "unknown", filtering: null },
  reflex: undefined,
  gathered: { hosts: [], reflexive: [] },
  isPortMapped: false,
};

/** What this node can tell its peers of how to reach it, made of what `NatWatch` knows. */
export function peerNetwork({ hosts, nat, mapped: stun, reflex, portMapping }: NatView): PeerNetwork {
  const at = (endpoint: Endpoint) => ({ endpoint, socket: NAT_SOCKET });
  const mapped = portMapping === undefined ? [] : [{ ...at(portMapping), via: "port-mapping" }];
  const told = reflex === null ? [] : [{ ...at(reflex.endpoint), via: reflex.source }];
  // Of a symmetric NAT it is one port of many, but sending there opens the peer's own filter for the whole address.
  const seen = stun == null ? [] : [{ ...at(stun), via: "stun" }];
  return {
    nat: { type: nat?.type ?? "unknown", filtering: nat?.filtering ?? null },
    reflex: reflex?.endpoint,
    gathered: {
      hosts,
      reflexive: [...mapped, ...told, ...seen],
    },
    isPortMapped: portMapping !== undefined,
  };
}
