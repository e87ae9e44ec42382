import type { NatReport } from "./nat-report.ts";

/**
 * How datagrams can go straight from host to host: `plain` after each has sent to the other (ICE); `hard-nat` when many
 * ports are tried as well; `relay`: not at all, so they stay on the lanes through the server, where they always can.
 */
export type DirectWay = "plain" | "hard-nat" | "relay";

/** What decides it, of each end. */
export type NatKind = Pick<NatReport, "type" | "filtering">;

/** The matrix of DESIGN "The direct plane". Undefined: too little is known of one end. */
export function directWay(one: NatKind, other: NatKind): DirectWay | undefined {
  const types = [one.type, other.type];
  if (types.includes("blocked")) return "relay";
  if (types.includes("unknown")) return undefined;
  if (!types.includes("symmetric")) return "plain";
  if (one.type === other.type) return "relay";
  const { type, filtering } = one.type === "symmetric" ? other : one;
  if (type === "cone" && filtering === null) return undefined;
  // Whoever lets in all ports of an address need not know which one the symmetric NAT will take.
  return type === "cone" && filtering === "address-and-port-dependent" ? "hard-nat" : "plain";
}
