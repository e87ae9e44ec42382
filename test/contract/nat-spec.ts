import type { Filtering, Mapping } from "../../src/core/nat/behaviour.ts";

/**
 * One NAT, described once for both laboratories: `test/sim` plays it in memory, `test/lab` builds it out of nftables in
 * a network namespace.
 */
export interface NatSpec {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** The outside port of a new mapping: the inside port if it is free, any free one, or the last one plus `step`. */
  readonly ports: "preserved" | "random" | { readonly sequential: number };
  /** Inside hosts reach each other at the outside address (RFC 4787 §6). */
  readonly hairpin: boolean;
  /** Seconds of silence after which a mapping is forgotten. */
  readonly lifetimeSeconds: number;
  /** What the NAT's own address does with a datagram that belongs to no mapping. `accept` also makes a conntrack entry. */
  readonly unsolicited: "drop" | "reject" | "accept";
  /** False: no UDP passes in either direction. */
  readonly udp: boolean;
}

const CONE: NatSpec = {
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  ports: "preserved",
  hairpin: false,
  lifetimeSeconds: 120,
  unsolicited: "drop",
  udp: true,
};
const SYMMETRIC: NatSpec = { ...CONE, mapping: "address-and-port-dependent", ports: "random" };

/** Every kind of NAT that the project must know, by the names used in tests, tables and documents. */
export const NATS = {
  "full-cone": { ...CONE, filtering: "endpoint-independent" },
  "address-restricted": { ...CONE, filtering: "address-dependent" },
  "port-restricted": CONE,
  "full-cone-random-port": { ...CONE, filtering: "endpoint-independent", ports: "random" },
  "address-restricted-random-port": { ...CONE, filtering: "address-dependent", ports: "random" },
  "port-restricted-random-port": { ...CONE, ports: "random" },
  symmetric: SYMMETRIC,
  "symmetric-sequential": { ...SYMMETRIC, ports: { sequential: 1 } },
  blocked: { ...CONE, udp: false },
  "full-cone-hairpin": { ...CONE, filtering: "endpoint-independent", hairpin: true },
  "port-restricted-hairpin": { ...CONE, hairpin: true },
  /** A bad router: an early inbound packet makes an entry, and the outbound port changes. */
  "port-restricted-accept": { ...CONE, unsolicited: "accept" },
  "port-restricted-reject": { ...CONE, unsolicited: "reject" },
  "short-lived": { ...CONE, lifetimeSeconds: 5 },
} as const satisfies Record<string, NatSpec>;

export type NatName = keyof typeof NATS;
