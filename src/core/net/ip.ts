/** An address in network order: 4 bytes of IPv4 or 16 of IPv6. */
export type IpBytes = Uint8Array;

/** What an address can be good for, the most special first. */
export type IpScope = "unspecified" | "loopback" | "link-local" | "multicast" | "private" | "shared" | "public";

const GROUPS = 8;

/** Reads IPv4 (four decimal numbers without leading zeros) or IPv6 (RFC 4291 §2.2); undefined for anything else. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** IPv6 as RFC 5952 wants it. The bytes must be 4 or 16. */
export function formatIp(bytes: IpBytes): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: GROUPS }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const { start, length } = longestZeros(groups);
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  // RFC 5952 §4.2.2: a single zero group is not shortened.
  return length < 2 ? hex(0, GROUPS) : `${hex(0, start)}::${hex(start + length, GROUPS)}`;
}

/**
 * The one text that stands for an address, so that texts can be compared: RFC 5952, without a zone, an IPv4-mapped
 * address as the IPv4 one that it is (a dual-stack socket reports its peers so). Undefined when it is no address.
 */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text.split("%", 1)[0] ?? "");
  if (bytes === undefined) return undefined;
  return formatIp(isMapped(bytes) ? bytes.subarray(12) : bytes);
}

export function ipFamily(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/**
 * Where an address can be reached from (IANA special-purpose registries). `shared` is the carriers' 100.64.0.0/10
 * (RFC 6598); documentation and benchmark ranges count as public: laboratories use them as such.
 */
export function ipScope(address: string): IpScope {
  const bytes = parseIp(address);
  if (bytes === undefined) return "unspecified";
  return bytes.length === 4 ? ipv4Scope(bytes) : ipv6Scope(bytes);
}

function ipv4Scope(bytes: IpBytes): IpScope {
  const [a = 0, b = 0] = bytes;
  if (a === 0) return "unspecified";
  if (a === 127) return "loopback";
  if (a === 169 && b === 254) return "link-local";
  if (a >= 224) return "multicast";
  if (a === 10 || (a === 172 && b >> 4 === 1) || (a === 192 && b === 168)) return "private";
  if (a === 100 && b >> 6 === 1) return "shared";
  return "public";
}

function ipv6Scope(bytes: IpBytes): IpScope {
  const [a = 0, b = 0] = bytes;
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) return bytes[15] === 1 ? "loopback" : "unspecified";
  if (a === 0xff) return "multicast";
  if (a === 0xfe && b >> 6 === 2) return "link-local";
  if (a >> 1 === 0x7e) return "private"; // fc00::/7, RFC 4193
  return "public";
}

function parseIpv4(text: string): IpBytes | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, index) =>
    half === "" ? [] : groupsOf(half.split(":"), index === halves.length - 1),
  );
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  // "::" stands for one group of zeros at least.
  if (halves.length === 1 ? given !== GROUPS : given >= GROUPS) return undefined;
  const groups = [...head, ...Array<number>(GROUPS - given).fill(0), ...(tail ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The last part of the whole text may be an IPv4 address, which makes two groups. */
function groupsOf(parts: readonly string[], endsText: boolean): number[] | undefined {
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    const ipv4 = endsText && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (ipv4 !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = ipv4;
      groups.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** ::ffff:0:0/96, RFC 4291 §2.5.5.2. */
function isMapped(bytes: IpBytes): boolean {
  return (
    bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  );
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
