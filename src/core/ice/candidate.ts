import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { canonicalIp, ipFamily, ipScope } from "../net/ip.ts";

/** RFC 8445 §5.1: an address of our own, one that a NAT gave us, or one learnt from a check. There is no `relay`. */
export type CandidateType = "host" | "srflx" | "prflx";

/** An address by which a peer may be reached, as it is told to the other side. */
export interface Candidate {
  readonly type: CandidateType;
  /** Candidates of one type, base and server share it: when one works, the others are likely to. 1 to 32 characters. */
  readonly foundation: string;
  /** 1 to 2³¹ − 1, higher is better. */
  readonly priority: number;
  readonly endpoint: Endpoint;
  /** What the NAT hides, for diagnosis only. */
  readonly related?: Endpoint;
}

/** One of our own: `socket` sends for it, and `base` is that socket's address. */
export interface LocalCandidate extends Candidate {
  readonly socket: number;
  readonly base: Endpoint;
}

/** What this node knows of its own addresses when it gathers. */
export interface Gathered {
  /** Addresses of the interfaces that `socket` is reachable at; a wildcard address is none. */
  readonly hosts: readonly { readonly endpoint: Endpoint; readonly socket: number }[];
  /** What STUN said, and what a port mapping gave; the socket is the one it was measured on. */
  readonly reflexive: readonly { readonly endpoint: Endpoint; readonly socket: number }[];
}

/** More are not told, and not taken from a peer (DESIGN "Signalling"). */
export const MAX_CANDIDATES = 32;

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCE: Record<CandidateType, number> = { host: 126, prflx: 110, srflx: 100 };
const MAX_LOCAL_PREFERENCE = 65_535;
const COMPONENT = 1;

/** RFC 8445 §5.1.2.1. `localPreference` 0 to 65535 ranks candidates of one type. */
export function candidatePriority(type: CandidateType, localPreference = MAX_LOCAL_PREFERENCE): number {
  return TYPE_PREFERENCE[type] * 2 ** 24 + localPreference * 2 ** 8 + (256 - COMPONENT);
}

/**
 * This node's candidates, the best first, without those that say the same (RFC 8445 §5.1.3). Within a type IPv6 goes
 * before IPv4, as there is rarely a NAT in its way. Loopback stays out unless it is all there is to test with.
 */
export function gatherCandidates(gathered: Gathered, options: { includeLoopback: boolean }): LocalCandidate[] {
  const usable = (endpoint: Endpoint) => {
    const scope = ipScope(endpoint.address);
    return scope === "loopback" ? options.includeLoopback : scope !== "unspecified" && scope !== "multicast";
  };
  const hosts = byFamily(gathered.hosts.filter(({ endpoint }) => usable(endpoint)));
  const candidates = hosts.map(({ endpoint, socket }, rank) => local("host", endpoint, socket, endpoint, rank));
  for (const [rank, { endpoint, socket }] of byFamily(gathered.reflexive).entries()) {
    const base = hosts.find((host) => host.socket === socket && isSameFamily(host.endpoint, endpoint))?.endpoint;
    const known = candidates.some((one) => one.socket === socket && sameEndpoint(one.endpoint, endpoint));
    if (base !== undefined && !known) candidates.push(local("srflx", endpoint, socket, base, rank));
  }
  return candidates.slice(0, MAX_CANDIDATES);
}

function local(type: CandidateType, endpoint: Endpoint, socket: number, base: Endpoint, rank: number): LocalCandidate {
  const candidate = {
    type,
    foundation: foundationOf(type, base),
    priority: candidatePriority(type, MAX_LOCAL_PREFERENCE - rank),
    endpoint,
    socket,
    base,
  };
  return type === "host" ? candidate : { ...candidate, related: base };
}

/** Text of a type and base address: equal where they are. */
export function foundationOf(type: CandidateType, base: Endpoint): string {
  return `${type}${base.address.replaceAll(/[.:]/g, "")}`.slice(0, 32);
}

function byFamily<Entry extends { readonly endpoint: Endpoint }>(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((one, other) => ipFamily(other.endpoint.address) - ipFamily(one.endpoint.address));
}

export function isSameFamily(one: Endpoint, other: Endpoint): boolean {
  return ipFamily(one.address) === ipFamily(other.address);
}

/** RFC 8839 §5.1, without its `a=`: `candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host`. */
export function formatCandidate({ type, foundation, priority, endpoint, related }: Candidate): string {
  const raddr = related === undefined ? "" : ` raddr ${related.address} rport ${related.port}`;
  return `candidate:${foundation} ${COMPONENT} udp ${priority} ${endpoint.address} ${endpoint.port} typ ${type}${raddr}`;
}

/**
 * Reads what a peer says. Undefined for what cannot be used: another transport or component, a relay, a name instead of
 * an address, a port or priority out of range, an address that is nobody's.
 */
export function parseCandidate(text: string): Candidate | undefined {
  const parts =
    /^candidate:([A-Za-z0-9+/]{1,32}) 1 udp (\d{1,10}) (\S{2,45}) (\d{1,5}) typ (host|srflx|prflx)( |$)/i.exec(text);
  if (parts === null) return undefined;
  const [, foundation = "", priorityText, addressText = "", portText, type = ""] = parts;
  const address = canonicalIp(addressText);
  const priority = Number(priorityText);
  const port = Number(portText);
  if (address === undefined || port < 1 || port > 65_535 || priority < 1 || priority > 2 ** 31 - 1) return undefined;
  const scope = ipScope(address);
  if (scope === "unspecified" || scope === "multicast") return undefined;
  return { type: type.toLowerCase() as CandidateType, foundation, priority, endpoint: { address, port } };
}
