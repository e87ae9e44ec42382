import { canonicalIp, formatIp, type IpBytes, type IpScope, ipScope, parseIp } from "../net/ip.ts";

/**
 * What an address is to an agent that connects on behalf of somebody else. `reserved`: no host has such an address,
 * or only one that a gateway makes up (IANA special-purpose registries).
 */
export type ExitScope = IpScope | "broadcast" | "reserved";

type Prefix = readonly [bytes: IpBytes, length: number];

const BROADCAST = "255.255.255.255";
/** Where `ipScope` says more than an exit may believe. */
const SPECIAL: readonly (readonly [Prefix, ExitScope])[] = [
  ["192.0.0.0/24", "reserved"], // RFC 6890: protocol assignments, DS-Lite's router among them
  ["192.88.99.0/24", "reserved"], // RFC 7526: 6to4 relays
  ["240.0.0.0/4", "reserved"], // RFC 1112 §4
  ["64:ff9b:1::/48", "private"], // RFC 8215: a network's own NAT64, whose embedded address has no fixed place
  ["2001:2::/48", "reserved"], // RFC 5180: benchmarks
  ["fec0::/10", "private"], // RFC 3879: site-local once, and treated so by some routers still
].map(([text, scope]) => [prefix(text ?? ""), scope as ExitScope]);

/** The one part of IPv6 that is given to hosts of the Internet (RFC 4291 §2.4), and NAT64's door to IPv4. */
const GLOBAL = prefix("2000::/3");
const NAT64 = prefix("64:ff9b::/96"); // RFC 6052 §2.1
const TEREDO = prefix("2001::/32"); // RFC 4380 §4
const SIX_TO_FOUR = prefix("2002::/16"); // RFC 3056 §2
/** RFC 4291 §2.5.5.1: IPv4-compatible; RFC 2765 §2.1: IPv4-translated. IPv4-mapped addresses are IPv4 to all of `ut`. */
const EMBEDDING = [prefix("::/96"), prefix("::ffff:0:0:0/96"), NAT64];

/**
 * The scope of an address, and of the IPv4 address that it may lead to: an address that embeds another one is what that
 * one is. `address` is an IP address in any text; what is none is `unspecified`.
 */
export function exitScope(address: string): ExitScope {
  const canonical = canonicalIp(address) ?? "";
  const bytes = parseIp(canonical);
  if (bytes === undefined) return "unspecified";
  for (const inner of embedded(bytes)) {
    const scope = exitScope(inner);
    if (scope !== "public") return scope;
  }
  if (canonical === BROADCAST) return "broadcast";
  for (const [special, scope] of SPECIAL) if (within(bytes, special)) return scope;
  const scope = ipScope(canonical);
  const isGlobal = bytes.length === 4 || within(bytes, GLOBAL) || within(bytes, NAT64);
  return scope === "public" && !isGlobal ? "reserved" : scope;
}

/** The IPv4 addresses that an IPv6 address leads to, by whichever of the translations and tunnels. */
export function embedded(bytes: IpBytes): string[] {
  if (bytes.length === 4) return [];
  if (isLoopbackOrNone(bytes)) return [];
  if (EMBEDDING.some((one) => within(bytes, one))) return [formatIp(bytes.subarray(12))];
  if (within(bytes, SIX_TO_FOUR)) return [formatIp(bytes.subarray(2, 6))];
  // RFC 4380 §4: the server, and the client's address with its bits turned over.
  if (within(bytes, TEREDO))
    return [formatIp(bytes.subarray(4, 8)), formatIp(bytes.subarray(12).map((byte) => byte ^ 0xff))];
  return [];
}

/** `10.0.0.0/8`, `fd00::/8`, or an address alone; undefined for anything else. Bits behind the prefix count for nothing. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = "", bits, ...more] = text.split("/");
  const bytes = parseIp(address);
  if (bytes === undefined || more.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return undefined;
  const length = bits === undefined ? bytes.length * 8 : Number(bits);
  return length <= bytes.length * 8 ? [bytes, length] : undefined;
}

/** An IPv4 address is in no IPv6 prefix, and the other way round. */
export function within(bytes: IpBytes, [network, length]: Prefix): boolean {
  if (bytes.length !== network.length) return false;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== network[i]) return false;
  const mask = 0xff & (0xff00 >> (length & 7));
  return ((bytes[whole] ?? 0) & mask) === ((network[whole] ?? 0) & mask);
}

export type { Prefix };

/** `::` and `::1` would be 0.0.0.0 and 0.0.0.1 as embedded ones. */
function isLoopbackOrNone(bytes: IpBytes): boolean {
  return bytes.subarray(0, 15).every((byte) => byte === 0) && (bytes[15] ?? 0) < 2;
}

function prefix(text: string): Prefix {
  // Invariant: only prefixes of this file come here.
  return parsePrefix(text) as Prefix;
}
