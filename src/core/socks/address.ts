import { canonicalIp, formatIp, parseIp } from "../net/ip.ts";

/** Whom a program wants to reach: an IP address in canonical text (`canonicalIp`) or a name, and a port. */
export interface Destination {
  readonly host: string;
  readonly port: number;
}

export type AddressReading =
  | { readonly ok: true; readonly destination: Destination; readonly end: number }
  /** `incomplete`: more bytes may make it one. */
  | { readonly ok: false; readonly kind: "incomplete" | "address_type" | "name" };

/** Where nothing is known, or none is meant. */
export const NO_ADDRESS: Destination = { host: "0.0.0.0", port: 0 };

/** RFC 1928 §5. */
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const MAX_NAME_BYTES = 255;
/** What no name of a host has: blanks, control characters, and letters that would have come as `xn--`. */
const NAME_BYTES = /^[\x21-\x7e]+$/;

/** `ATYP | ADDR | PORT` (RFC 1928 §5) from `start` on. */
export function decodeAddress(bytes: Uint8Array, start: number): AddressReading {
  const type = bytes[start];
  if (type === undefined) return { ok: false, kind: "incomplete" };
  if (type !== IPV4 && type !== NAME && type !== IPV6) return { ok: false, kind: "address_type" };
  const from = type === NAME ? start + 2 : start + 1;
  const length = type === IPV4 ? 4 : type === IPV6 ? 16 : bytes[start + 1];
  if (length === undefined) return { ok: false, kind: "incomplete" };
  const end = from + length + 2;
  if (bytes.length < end) return { ok: false, kind: "incomplete" };
  const raw = bytes.subarray(from, from + length);
  const host = type === NAME ? readName(raw) : canonicalIp(formatIp(raw));
  if (host === undefined) return { ok: false, kind: "name" };
  return { ok: true, destination: { host, port: ((bytes[end - 2] ?? 0) << 8) | (bytes[end - 1] ?? 0) }, end };
}

/** What `decodeAddress` reads. A name must have at most 255 bytes. */
export function encodeAddress({ host, port }: Destination): Uint8Array {
  const ip = parseIp(host);
  const raw = ip ?? new TextEncoder().encode(host).subarray(0, MAX_NAME_BYTES);
  const head = ip === undefined ? [NAME, raw.length] : [ip.length === 4 ? IPV4 : IPV6];
  const bytes = new Uint8Array(head.length + raw.length + 2);
  bytes.set(head);
  bytes.set(raw, head.length);
  bytes[bytes.length - 2] = port >> 8;
  bytes[bytes.length - 1] = port & 0xff;
  return bytes;
}

/** A host as a program writes it: an IP address in any spelling, or a name; undefined for neither. */
export function readHost(text: string): string | undefined {
  if (text.length > MAX_NAME_BYTES || !NAME_BYTES.test(text)) return undefined;
  return canonicalIp(text) ?? text;
}

function readName(raw: Uint8Array): string | undefined {
  return readHost(String.fromCharCode(...raw));
}
