import { sha256 } from "../crypto.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipFamily, ipScope } from "../net/ip.ts";
import {
  type CandidateType,
  candidatePriority,
  isCandidateAddress,
  type LocalCandidate,
  MAX_CANDIDATES,
  MAX_LOCAL_PREFERENCE,
} from "./candidate.ts";

/** What this node knows of its own addresses when it gathers. */
export interface Gathered {
  /** Addresses of the interfaces that `socket` is reachable at, the best first; a wildcard address is none. */
  readonly hosts: readonly Reachable[];
  /**
   * What a port mapping gave and what STUN said, the best first, on the socket that it was measured on. `via` is what
   * said it (a server's address, a mapping's protocol): what two have said works or fails on its own.
   */
  readonly reflexive: readonly (Reachable & { readonly via: string })[];
}

interface Reachable {
  readonly endpoint: Endpoint;
  readonly socket: number;
}

/** So many of the candidates are kept for what works across the internet, however many interfaces there are. */
const MAX_REFLEXIVE = 16;

/**
 * This node's candidates, the best first, without those that say the same (RFC 8445 §5.1). Loopback stays out unless it
 * is asked for. A reflexive address without a host address on its socket is left out.
 */
export function gatherCandidates(gathered: Gathered, options: { includeLoopback: boolean }): LocalCandidate[] {
  const isUsable = ({ endpoint }: Reachable) =>
    isCandidateAddress(endpoint.address) && (options.includeLoopback || ipScope(endpoint.address) !== "loopback");
  const hosts = inOrder(distinct(gathered.hosts.filter(isUsable)));
  const isNew = (one: Reachable) => isUsable(one) && !hosts.some((host) => isSame(host, one));
  const reflexive = inOrder(distinct(gathered.reflexive.filter(isNew)))
    .flatMap(({ endpoint, socket, via }) => {
      const host = hosts.find((one) => one.socket === socket && isSameFamily(one.endpoint, endpoint));
      return host === undefined ? [] : [{ endpoint, socket, via, base: host.endpoint }];
    })
    .slice(0, MAX_REFLEXIVE);
  return [
    ...hosts.slice(0, MAX_CANDIDATES - reflexive.length).map(({ endpoint, socket }, rank) => ({
      ...common("host", endpoint, rank),
      endpoint,
      socket,
      base: endpoint,
    })),
    ...reflexive.map(({ endpoint, socket, via, base }, rank) => ({
      ...common("srflx", base, rank, via),
      endpoint,
      related: base,
      socket,
      base,
    })),
  ];
}

export function isSameFamily(one: Endpoint, other: Endpoint): boolean {
  return ipFamily(one.address) === ipFamily(other.address);
}

function common(type: CandidateType, base: Endpoint, rank: number, via = "") {
  const priority = candidatePriority(type, MAX_LOCAL_PREFERENCE - rank);
  return { type, foundation: foundationOf(type, base, via), priority };
}

/** RFC 8445 §5.1.1.3: the same for the same type, base address and server. Of the base it tells nothing. */
function foundationOf(type: CandidateType, { address }: Endpoint, via: string): string {
  return sha256(new TextEncoder().encode(`${type} ${address} ${via}`))
    .toHex()
    .slice(0, 12);
}

function distinct<Entry extends Reachable>(entries: readonly Entry[]): Entry[] {
  return entries.filter((entry, index) => entries.findIndex((one) => isSame(one, entry)) === index);
}

function isSame(one: Reachable, other: Reachable): boolean {
  return one.socket === other.socket && sameEndpoint(one.endpoint, other.endpoint);
}

/**
 * IPv6 first, as there is rarely a NAT in its way, but IPv4 in between from the start: where IPv6 is broken, nobody
 * waits for all of it to fail (RFC 8421 §4). Unique local IPv6 stands last (RFC 6724 §10.6).
 */
function inOrder<Entry extends Reachable>(entries: readonly Entry[]): Entry[] {
  const isLocalV6 = ({ endpoint: { address } }: Entry) => ipFamily(address) === 6 && ipScope(address) === "private";
  const rest = entries.filter((entry) => !isLocalV6(entry));
  const v6 = rest.filter(({ endpoint }) => ipFamily(endpoint.address) === 6);
  const v4 = rest.filter(({ endpoint }) => ipFamily(endpoint.address) === 4);
  // Every so many-th is IPv4; never, where there is none.
  const every = Math.ceil(rest.length / v4.length);
  const mixed = rest.flatMap((_, index) => {
    const next = (index % every === every - 1 || v6.length === 0 ? v4 : v6).shift();
    return next === undefined ? [] : [next];
  });
  return [...mixed, ...entries.filter(isLocalV6)];
}
