import { type IpScope, ipFamily, ipScope } from "../net/ip.ts";
import type { NatLayers } from "./nat-type.ts";

/** Addresses that never reach the internet as they are. */
const TRANSLATED: ReadonlySet<IpScope> = new Set(["private", "shared"]);

export interface LayerEvidence {
  /** The outside address that the internet sees. */
  readonly mapped: string;
  readonly translated: boolean;
  readonly interfaceAddresses: readonly string[];
  /** The outside address of the gateway, in the gateway's own words. */
  readonly gatewayExternal?: string | undefined;
}

/**
 * One NAT or two. The gateway's word is best: if its outside address is the one that the internet sees, it is the
 * only NAT; if it is a private or shared one, somebody translates behind it. Without it, a host whose only addresses are of the carriers' shared space is a carrier's
 * customer without a router of its own; beside a private address a shared one proves nothing, since overlay networks
 * take theirs from there as well.
 */
export function judgeLayers({
  mapped,
  translated,
  interfaceAddresses,
  gatewayExternal,
}: LayerEvidence): NatLayers | null {
  if (!translated) return "none";
  if (gatewayExternal === mapped) return "one";
  if (gatewayExternal !== undefined && TRANSLATED.has(ipScope(gatewayExternal))) return "two-or-more";
  const scopes = new Set<IpScope>(
    interfaceAddresses.filter((address) => ipFamily(address) === ipFamily(mapped)).map(ipScope),
  );
  const other = scopes.has("private") || scopes.has("public");
  return scopes.has("shared") && !other ? "carrier" : null;
}
