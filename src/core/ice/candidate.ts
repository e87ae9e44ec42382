import type { Endpoint } from "../net/endpoint.ts";
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

/** More are not told, and not taken from a peer (DESIGN "Signalling"). */
export const MAX_CANDIDATES = 32;

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCE: Record<CandidateType, number> = { host: 126, prflx: 110, srflx: 100 };
export const MAX_LOCAL_PREFERENCE = 65_535;
const MAX_PRIORITY = 2 ** 31 - 1;
const COMPONENT = 1;

/** RFC 8445 §5.1.2.1. `localPreference` 0 to 65535 ranks candidates of one type. */
export function candidatePriority(type: CandidateType, localPreference: number): number {
  return TYPE_PREFERENCE[type] * 2 ** 24 + localPreference * 2 ** 8 + (256 - COMPONENT);
}

/** RFC 8445 §7.1.1: what a check says of itself is the priority of the peer-reflexive candidate that it may reveal. */
export function peerReflexivePriority({ priority }: LocalCandidate): number {
  return candidatePriority("prflx", (priority >>> 8) & MAX_LOCAL_PREFERENCE);
}

/**
 * Whether another host can be reached there, or this one if it is loopback. A link-local IPv6 address means nothing
 * without its zone, which no other host knows.
 */
export function isCandidateAddress(address: string): boolean {
  const scope = ipScope(address);
  if (scope === "link-local") return ipFamily(address) === 4;
  return scope !== "unspecified" && scope !== "multicast";
}

/** RFC 8839 §5.1, without its `a=`: `candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host`. */
export function formatCandidate({ type, foundation, priority, endpoint, related }: Candidate): string {
  const raddr = related === undefined ? "" : ` raddr ${related.address} rport ${related.port}`;
  return `candidate:${foundation} ${COMPONENT} udp ${priority} ${endpoint.address} ${endpoint.port} typ ${type}${raddr}`;
}

/**
 * Reads what a peer says, whatever extensions follow. Undefined for what cannot be used: another transport or
 * component, a relay, a name instead of an address, a port or priority out of range, an address that is nobody's.
 */
export function parseCandidate(text: string): Candidate | undefined {
  const parts =
    /^candidate:([A-Za-z0-9+/]{1,32}) 1 udp (\d{1,10}) (\S{2,45}) (\d{1,5}) typ (host|srflx|prflx)(?: raddr (\S{2,45}) rport (\d{1,5}))?(?: |$)/i.exec(
      text,
    );
  if (parts === null) return undefined;
  const [, foundation = "", priorityText, address, port, type = "", relatedAddress, relatedPort] = parts;
  const endpoint = readEndpoint(address, port);
  const priority = Number(priorityText);
  if (endpoint === undefined || endpoint.port === 0 || !isCandidateAddress(endpoint.address)) return undefined;
  if (priority < 1 || priority > MAX_PRIORITY) return undefined;
  const candidate = { type: type.toLowerCase() as CandidateType, foundation, priority, endpoint };
  const related = readEndpoint(relatedAddress, relatedPort);
  return related === undefined ? candidate : { ...candidate, related };
}

function readEndpoint(addressText = "", portText = ""): Endpoint | undefined {
  const address = canonicalIp(addressText);
  const port = Number(portText);
  return address === undefined || port > 65_535 ? undefined : { address, port };
}
