import type { PeerNetwork } from "./peer-options.ts";

/**
 * What another look at our network means for attempts: `elsewhere` when this host has other addresses, so that whatever
 * is under way has lost its ground; `changed` when another attempt may end otherwise. Ports do not count: a symmetric
 * NAT shows another one each time.
 */
export function networkChange(before: PeerNetwork, after: PeerNetwork): "none" | "changed" | "elsewhere" {
  if (hostsOf(before) !== hostsOf(after)) return "elsewhere";
  return natOf(before) === natOf(after) ? "none" : "changed";
}

function hostsOf({ gathered }: PeerNetwork): string {
  return JSON.stringify(gathered.hosts);
}

function natOf({ nat, reflex, isPortMapped }: PeerNetwork): string {
  return JSON.stringify([nat.type, nat.filtering, reflex?.address, isPortMapped]);
}
