import type { Dependence } from "../../src/core/nat/behaviour.ts";
import type { NatSpec } from "../contract/nat-spec.ts";

/** Where a NAT stands. Its devices are named `wan` and `lan`. */
export interface NatSite {
  /** Its one address outside. */
  readonly wan: string;
  /** The network inside, with its prefix length. */
  readonly lan: string;
}

/** A direction of a flow: from the inside host it is `original` where that host spoke first, `reply` where it did not. */
type Direction = "original" | "reply";

/** Entries of each map: one for every port. */
const MAP_SIZE = 65_536;

/** What `key` gives, as nftables names it. */
const KEY_TYPES: Record<Dependence, string> = {
  "endpoint-independent": "ipv4_addr . inet_service",
  "address-dependent": "ipv4_addr . inet_service . ipv4_addr",
  "address-and-port-dependent": "ipv4_addr . inet_service . ipv4_addr . inet_service",
};

/** Ports of a sequential NAT before it starts over, around the middle, so that steps of either sign have room. */
const SEQUENCE_LENGTH = 4_096;
const SEQUENCE_MIDDLE = 32_768;
const SEQUENCE_SPAN = 60_000;

/**
 * The nftables rules that make a router behave as `spec` says. They replace those of an earlier call and leave all
 * other tables alone (miniupnpd has one).
 *
 * Linux maps and filters by flow: by address and port. What is wider than that is kept in maps, which are filled behind
 * source NAT, where the outside port is known, asked by the first packet of every further flow, and forgotten as soon
 * as flows are.
 */
export function natRules(spec: NatSpec, site: NatSite): string {
  return `
    add table ip nat
    delete table ip nat
    add table ip filter
    delete table ip filter
    ${natTable(spec, site)}
    ${filterTable(spec)}`;
}

function natTable(spec: NatSpec, { wan, lan }: NatSite): string {
  const life = `flags dynamic,timeout; timeout ${spec.lifetimeSeconds}s; size ${MAP_SIZE}`;
  return `
    table ip nat {
      map outside { type ${KEY_TYPES[spec.mapping]} : inet_service; ${life}; }
      map inside { type inet_service : ipv4_addr . inet_service; ${life}; }
      set taken { type inet_service; ${life}; }
      set permitted { type inet_service . ipv4_addr; ${life}; }
      chain prerouting {
        type nat hook prerouting priority dstnat;
        ${inbound(spec)}
        ${spec.hairpin ? `iifname "lan" ip daddr ${wan} meta l4proto udp dnat ip to udp dport map @inside` : ""}
      }
      chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "wan" jump translate
        ${spec.hairpin ? `oifname "lan" ct status dnat ip saddr ${lan} jump translate` : ""}
      }
      chain translate {
        meta l4proto != udp masquerade
        ${outsidePort(spec, wan)}
      }
      chain record {
        type filter hook postrouting priority 110;
        meta l4proto udp ct status snat ${record(spec, "original", "reply")}
        meta l4proto udp ct status dnat ${record(spec, "reply", "original")}
      }
    }`;
}

function filterTable(spec: NatSpec): string {
  return `
    table ip filter {
      counter outward { }
      counter inward { }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ${spec.udp ? "" : "meta l4proto udp drop"}
        ct state established,related jump pass
        iifname "lan" jump pass
        ct status dnat jump pass
      }
      chain pass {
        meta l4proto udp oifname "wan" counter name outward
        meta l4proto udp iifname "wan" counter name inward
        accept
      }
      chain input {
        type filter hook input priority filter;
        iifname "wan" ct state established,related accept
        iifname "wan" icmp type echo-request accept
        iifname "wan" ${spec.unsolicited === "reject" ? "reject with icmp port-unreachable" : spec.unsolicited}
      }
    }`;
}

/** Lets in those who begin a flow from outside, as far as the filtering is wider than the kernel's own. */
function inbound({ filtering }: NatSpec): string {
  const toInside = "dnat ip to udp dport map @inside";
  switch (filtering) {
    case "endpoint-independent":
      return `iifname "wan" meta l4proto udp ${toInside}`;
    case "address-dependent":
      return `iifname "wan" meta l4proto udp udp dport . ip saddr @permitted ${toInside}`;
    case "address-and-port-dependent":
      return "";
    default:
      return filtering satisfies never;
  }
}

/** The port of the mapping that this flow belongs to, or else a new one. */
function outsidePort(spec: NatSpec, wan: string): string {
  const known = `meta l4proto udp snat ip to ${wan} : ${key("original", spec.mapping)} map @outside`;
  return `${keepsMappings(spec) ? known : ""}
        ${newPort(spec, wan)}`;
}

function newPort({ ports }: NatSpec, wan: string): string {
  if (ports === "random") return `snat ip to ${wan} fully-random`;
  if (ports !== "preserved") return `meta l4proto udp snat ip to ${wan} : numgen inc mod ${sequence(ports.sequential)}`;
  return `udp sport @taken snat ip to ${wan} fully-random
        snat ip to ${wan}`;
}

/** `numgen` counts in the machine's byte order, ports are in the network's: a map stands between them. */
function sequence(step: number): string {
  const length = Math.min(SEQUENCE_LENGTH, Math.floor(SEQUENCE_SPAN / Math.abs(step)));
  const first = SEQUENCE_MIDDLE - Math.floor((length * step) / 2);
  const elements = Array.from({ length }, (_, index) => `${index} : ${first + index * step}`);
  return `${length} map { ${elements.join(", ")} }`;
}

/** Packets of both directions keep a mapping and its permissions alive, as they do their flow. */
function record(spec: NatSpec, own: Direction, far: Direction): string {
  const host = key(own, "endpoint-independent");
  const port = `ct ${far} proto-dst`;
  const kept = [`update @inside { ${port} : ${host} }`];
  if (spec.filtering === "address-dependent") kept.push(`update @permitted { ${port} . ct ${own} ip daddr }`);
  if (keepsMappings(spec))
    kept.push(`update @outside { ${key(own, spec.mapping)} : ${port} }`, `update @taken { ${port} }`);
  return kept.join(" ");
}

/** What one mapping belongs to: the inside host's address and port, and as much of the remote as it depends on. */
function key(own: Direction, mapping: Dependence): string {
  const parts = ["ip saddr", "proto-src"];
  if (mapping !== "endpoint-independent") parts.push("ip daddr");
  if (mapping === "address-and-port-dependent") parts.push("proto-dst");
  return parts.map((part) => `ct ${own} ${part}`).join(" . ");
}

/**
 * A router that accepts what nobody asked for makes a flow of it, and that flow owns the port towards that remote. The
 * kernel must be free to give the inside host another one then, which is the fault that such routers have.
 */
function keepsMappings({ unsolicited }: NatSpec): boolean {
  return unsolicited !== "accept";
}
