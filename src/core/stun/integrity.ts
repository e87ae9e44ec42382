import { equalBytes, hmacSha1, hmacSha256, md5, sha256 } from "../crypto.ts";
import { MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256 } from "./attributes.ts";
import { HEADER_BYTES, readTlvs, type Tlv, writeTlv } from "./tlv.ts";

export type IntegrityAlgorithm = "sha1" | "sha256";

export interface Integrity {
  /** Of `shortTermKey` or `longTermKey`. */
  readonly key: Uint8Array;
  readonly algorithm: IntegrityAlgorithm;
}

/** Of a whole attribute, header included: what a message's length counts for it. */
export const INTEGRITY_BYTES: Readonly<Record<IntegrityAlgorithm, number>> = { sha1: 24, sha256: 36 };
/** A SHA-256 value may be cut short, to a multiple of four bytes and no less than this (RFC 8489 §14.6). */
const SHORTEST_SHA256 = 16;

/**
 * Whether a message was made by somebody who knows `key`: it has MESSAGE-INTEGRITY-SHA256 with the right value or,
 * having none, MESSAGE-INTEGRITY with the right value (RFC 8489 §9.1.3). False for anything else, any bytes at all.
 * What stands behind the attribute is not covered; `decodeStun` ignores it.
 */
export function verifyIntegrity(message: Uint8Array, key: Uint8Array): boolean {
  const tlvs = readTlvs(message) ?? [];
  const strong = tlvs.find(({ type }) => type === MESSAGE_INTEGRITY_SHA256);
  const weak = tlvs.find(({ type }) => type === MESSAGE_INTEGRITY);
  if (strong !== undefined) return isRight(message, strong, key, "sha256");
  return weak !== undefined && isRight(message, weak, key, "sha1");
}

/** Whether an integrity attribute has a length that it can have. */
export function integrityIsWellFormed({ type, value }: Tlv): boolean {
  if (type === MESSAGE_INTEGRITY) return value.length === 20;
  return value.length >= SHORTEST_SHA256 && value.length <= 32 && value.length % 4 === 0;
}

/** The integrity attribute of a message that so far is `message`, header and attributes. */
export function integrityTlv(message: Uint8Array, { key, algorithm }: Integrity): Uint8Array {
  const value = mac(message, INTEGRITY_BYTES[algorithm], key, algorithm);
  return writeTlv(algorithm === "sha1" ? MESSAGE_INTEGRITY : MESSAGE_INTEGRITY_SHA256, value);
}

/** RFC 8489 §9.1.1. */
export function shortTermKey(password: string): Uint8Array {
  return utf8.encode(opaque(password));
}

/** RFC 8489 §9.2.2; the algorithm is the one that PASSWORD-ALGORITHM names, MD5 where there is none. */
export function longTermKey(
  { username, realm, password }: { username: string; realm: string; password: string },
  algorithm: "md5" | "sha256" = "md5",
): Uint8Array {
  const hash = algorithm === "md5" ? md5 : sha256;
  return hash(utf8.encode(`${username}:${opaque(realm)}:${opaque(password)}`));
}

/** USERHASH, which tells nobody the name (RFC 8489 §14.4). */
export function userhash(username: string, realm: string): Uint8Array {
  return sha256(utf8.encode(`${opaque(username)}:${opaque(realm)}`));
}

function isRight(message: Uint8Array, tlv: Tlv, key: Uint8Array, algorithm: IntegrityAlgorithm): boolean {
  if (!integrityIsWellFormed(tlv)) return false;
  const expected = mac(message.subarray(0, tlv.at), 4 + tlv.value.length, key, algorithm);
  return equalBytes(expected.subarray(0, tlv.value.length), tlv.value);
}

/** Over what stands before the attribute, the length in the header ending with the attribute (RFC 8489 §14.5). */
function mac(before: Uint8Array, tlvBytes: number, key: Uint8Array, algorithm: IntegrityAlgorithm): Uint8Array {
  const header = before.slice(0, 4);
  new DataView(header.buffer).setUint16(2, before.length - HEADER_BYTES + tlvBytes);
  return (algorithm === "sha1" ? hmacSha1 : hmacSha256)(key, header, before.subarray(4));
}

/** OpaqueString of RFC 8265 §4.2.2: every kind of space is a space, and what looks composed is composed. */
function opaque(text: string): string {
  return text.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

const utf8 = new TextEncoder();
