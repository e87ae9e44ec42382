import { formatEndpoint } from "../net/endpoint.ts";
import type { PeerInfo, PeerInfoInput } from "../wire/signal.ts";

/** Of a peer that has said nothing of its network yet. */
export const UNKNOWN_NETWORK: PeerInfo = { nat: "unknown", filtering: null, reflex: null, caps: [] };

/** As it is written on the wire. */
export function peerInfoText({ nat, filtering, reflex, caps }: PeerInfo): PeerInfoInput {
  return { nat, filtering, reflex: reflex === null ? null : formatEndpoint(reflex), caps };
}
