import type { Endpoint } from "../net/endpoint.ts";
import { canonicalIp, formatIp, parseIp } from "../net/ip.ts";

/** RFC 8489 §14.1: zero, family, port, address. Throws a RangeError where the address is none. */
export function encodeAddress({ address, port }: Endpoint): Uint8Array {
  const ip = parseIp(address);
  if (ip === undefined) throw new RangeError(`Cannot write STUN address ${address}: no IP address`);
  const bytes = new Uint8Array(4 + ip.length);
  bytes.set([0, ip.length === 4 ? 1 : 2, port >> 8, port & 0xff]);
  bytes.set(ip, 4);
  return bytes;
}

/** Undefined for bytes that are no address of IPv4 or IPv6. */
export function decodeAddress(bytes: Uint8Array): Endpoint | undefined {
  const [, family, high = 0, low = 0] = bytes;
  if (!(family === 1 && bytes.length === 8) && !(family === 2 && bytes.length === 20)) return undefined;
  const address = canonicalIp(formatIp(bytes.subarray(4)));
  return address === undefined ? undefined : { address, port: (high << 8) | low };
}

/**
 * RFC 8489 §14.2, there and back: port and address, each against `mask` (magic cookie and transaction id, 16 bytes) from
 * its start.
 */
export function xorAddress(bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => byte ^ (at < 2 ? 0 : (mask[at < 4 ? at - 2 : at - 4] ?? 0)));
}
