import type { Candidate } from "../ice/candidate.ts";
import { ipFamily, ipScope } from "../net/ip.ts";

/** In `PeerInfo.caps`: the gateway keeps a port open, whatever its NAT does to others. */
export const CAP_PORT_MAPPED = "port-mapped";
/** In `PeerInfo.caps`: goes direct at all (`p2p.direct`). */
export const CAP_DIRECT = "direct";

/**
 * Whether plain checks may get through although both NATs are symmetric: a port that a gateway keeps open, IPv6 at both
 * ends, or one and the same NAT in front of both, so that they may see each other inside.
 */
export function hasShortcut(
  own: readonly Candidate[],
  peer: readonly Candidate[],
  mapped: { readonly own: boolean; readonly peerCaps: readonly string[] },
): boolean {
  if (mapped.own || mapped.peerCaps.includes(CAP_PORT_MAPPED)) return true;
  if (own.some(isGlobalV6) && peer.some(isGlobalV6)) return true;
  const outside = new Set(own.filter(isReflexive).map(({ endpoint }) => endpoint.address));
  return peer.some((one) => isReflexive(one) && outside.has(one.endpoint.address));
}

function isReflexive({ type }: Candidate): boolean {
  return type === "srflx";
}

function isGlobalV6({ endpoint: { address } }: Candidate): boolean {
  return ipFamily(address) === 6 && ipScope(address) === "public";
}
