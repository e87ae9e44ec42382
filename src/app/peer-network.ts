import type { PeerNetwork } from "../core/peer/peer-options.ts";
import type { NatView } from "./nat-view.ts";

/** The watch's socket is the first of those that a `Peer` is given. */
const SHARED_SOCKET = 0;

/** Of a node that has no socket to go direct from. */
export const UNKNOWN_NETWORK: PeerNetwork = {
  nat: { type: "unknown", filtering: null },
  reflex: undefined,
  gathered: { hosts: [], reflexive: [] },
  isPortMapped: false,
};

/** What this node can tell its peers of how to reach it, made of what `NatWatch` knows. */
export function peerNetwork({ local, addresses, nat, mapped: stun, reflex, portMapping }: NatView): PeerNetwork {
  const at = (endpoint: PeerNetwork["gathered"]["hosts"][number]["endpoint"]) => ({ endpoint, socket: SHARED_SOCKET });
  const mapped = portMapping === undefined ? [] : [{ ...at(portMapping), via: "port-mapping" }];
  const told = reflex === null ? [] : [{ ...at(reflex.endpoint), via: reflex.source }];
  // Of a symmetric NAT it is one port of many, but sending there opens the peer's own filter for the whole address.
  const seen = stun == null ? [] : [{ ...at(stun), via: "stun" }];
  return {
    nat: { type: nat?.type ?? "unknown", filtering: nat?.filtering ?? null },
    reflex: reflex?.endpoint,
    gathered: {
      hosts: addresses.map((address) => at({ address, port: local.port })),
      reflexive: [...mapped, ...told, ...seen],
    },
    isPortMapped: portMapping !== undefined,
  };
}
