import type { PeerInfo } from "../wire/signal.ts";
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

/** Of another end: whether an attempt may end otherwise, now that it says this of its network. */
export function isOtherInfo(before: PeerInfo, after: PeerInfo): boolean {
  const textOf = ({ nat, filtering, reflex, caps }: PeerInfo) =>
    JSON.stringify([nat, filtering, reflex?.address, caps]);
  return textOf(before) !== textOf(after);
}

function hostsOf({ gathered }: PeerNetwork): string {
  return JSON.stringify(gathered.hosts);
}

function natOf({ nat, reflex, isPortMapped }: PeerNetwork): string {
  return JSON.stringify([nat.type, nat.filtering, reflex?.address, isPortMapped]);
}
