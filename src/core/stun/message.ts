import {
  decodeAttributes,
  encodeAttributes,
  FINGERPRINT,
  MESSAGE_INTEGRITY,
  MESSAGE_INTEGRITY_SHA256,
  type StunAttributes,
} from "./attributes.ts";
import { FINGERPRINT_BYTES, fingerprintIsRight, fingerprintTlv } from "./fingerprint.ts";
import { type Integrity, type IntegrityAlgorithm, integrityIsWellFormed, integrityTlv } from "./integrity.ts";
import { HEADER_BYTES, readTlvs, type Tlv } from "./tlv.ts";

/** RFC 8489 §5, in the order of their two bits. */
const CLASSES = ["request", "indication", "success", "error"] as const;
export type StunClass = (typeof CLASSES)[number];

export const BINDING = 0x001;
const MAGIC_COOKIE = 0x2112_a442;

export interface StunMessage {
  readonly class: StunClass;
  /** 12 bits. */
  readonly method: number;
  /** 96 bits as 24 hexadecimal digits, lower case. */
  readonly transactionId: string;
  readonly attributes: StunAttributes;
}

export interface EncodeOptions {
  /** Adds MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256. */
  readonly integrity?: Integrity;
  readonly fingerprint?: boolean;
}

export type DecodedStun =
  | {
      readonly ok: true;
      readonly message: StunMessage;
      /** Types of attributes that must be understood and are not: a request is answered 420, all else discarded. */
      readonly unknownRequired: readonly number[];
      /** What of integrity it carries; whether that is right is `verifyIntegrity`'s to say. */
      readonly integrity: readonly IntegrityAlgorithm[];
      /** It carries a FINGERPRINT, and the right one. */
      readonly fingerprint: boolean;
    }
  | { readonly ok: false; readonly kind: StunError };

/** Why bytes are no STUN message. A datagram with another first byte or cookie is `not_stun`: it is something else. */
export type StunError = "not_stun" | "truncated" | "bad_length" | "bad_attribute" | "bad_integrity" | "bad_fingerprint";

/** Whether a datagram can be nothing but STUN, for a socket that carries other things, too (RFC 8489 §6.3). */
export function looksLikeStun(bytes: Uint8Array): boolean {
  const [first = 0xff, , , , a, b, c, d] = bytes;
  return first < 0x40 && a === 0x21 && b === 0x12 && c === 0xa4 && d === 0x42;
}

/** The transaction a datagram belongs to if it is STUN at all: cheap, so that the one it is for can be looked up. */
export function transactionIdOf(bytes: Uint8Array): string | undefined {
  return looksLikeStun(bytes) && bytes.length >= HEADER_BYTES ? bytes.subarray(8, HEADER_BYTES).toHex() : undefined;
}

/**
 * One datagram as a message of RFC 8489 (and 5389). Attributes behind an integrity attribute are ignored, since
 * anybody could have put them there, except for the stronger integrity and the fingerprint (§14.5).
 */
export function decodeStun(bytes: Uint8Array): DecodedStun {
  if (!looksLikeStun(bytes)) return { ok: false, kind: "not_stun" };
  if (bytes.length < HEADER_BYTES) return { ok: false, kind: "truncated" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(2);
  if (HEADER_BYTES + length > bytes.length) return { ok: false, kind: "truncated" };
  if (HEADER_BYTES + length < bytes.length || length % 4 !== 0) return { ok: false, kind: "bad_length" };
  const tlvs = readTlvs(bytes);
  if (tlvs === undefined) return { ok: false, kind: "bad_attribute" };
  const { covered, integrity, fingerprint } = partition(tlvs);
  if (!integrity.every(integrityIsWellFormed)) return { ok: false, kind: "bad_integrity" };
  if (fingerprint !== undefined && !isLastAndRight(bytes, fingerprint)) return { ok: false, kind: "bad_fingerprint" };
  const decoded = decodeAttributes(covered, bytes.subarray(4, HEADER_BYTES));
  if (decoded === undefined) return { ok: false, kind: "bad_attribute" };
  return {
    ok: true,
    message: {
      ...splitType(view.getUint16(0)),
      transactionId: bytes.subarray(8, HEADER_BYTES).toHex(),
      attributes: decoded.attributes,
    },
    unknownRequired: decoded.unknownRequired,
    integrity: integrity.map(({ type }) => (type === MESSAGE_INTEGRITY ? "sha1" : "sha256")),
    fingerprint: fingerprint !== undefined,
  };
}

/**
 * The bytes of a message, attributes in the order of their keys. Throws a RangeError for what no message can hold: an
 * address that is none, more than 65,535 bytes.
 */
export function encodeStun(message: StunMessage, { integrity, fingerprint = false }: EncodeOptions = {}): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(0, joinType(message));
  view.setUint32(4, MAGIC_COOKIE);
  header.set(Uint8Array.fromHex(message.transactionId), 8);
  let bytes = append(header, encodeAttributes(message.attributes, header.subarray(4)));
  if (integrity !== undefined) bytes = append(bytes, [integrityTlv(bytes, integrity)]);
  if (fingerprint) {
    setLength(bytes, bytes.length + FINGERPRINT_BYTES);
    bytes = append(bytes, [fingerprintTlv(bytes)]);
  }
  return bytes;
}

interface Parts {
  /** What the integrity covers, or everything when there is none. */
  readonly covered: readonly Tlv[];
  /** At most one of each kind, the weaker first. */
  readonly integrity: readonly Tlv[];
  readonly fingerprint: Tlv | undefined;
}

function partition(tlvs: readonly Tlv[]): Parts {
  const end = tlvs.findIndex(({ type }) => type === MESSAGE_INTEGRITY || type === MESSAGE_INTEGRITY_SHA256);
  const fingerprint = tlvs.find(({ type }) => type === FINGERPRINT);
  const weak = tlvs.find(({ type }) => type === MESSAGE_INTEGRITY);
  const strong = tlvs.find(({ type }) => type === MESSAGE_INTEGRITY_SHA256);
  // What follows the stronger one is not covered by anything: not even the weaker.
  const both = weak !== undefined && strong !== undefined && weak.at < strong.at;
  const integrity = both ? [weak, strong] : [strong ?? weak].filter((tlv) => tlv !== undefined);
  const covered = (end < 0 ? tlvs : tlvs.slice(0, end)).filter((tlv) => tlv !== fingerprint);
  return { covered, integrity, fingerprint };
}

function isLastAndRight(bytes: Uint8Array, { at, value }: Tlv): boolean {
  return value.length === 4 && at + FINGERPRINT_BYTES === bytes.length && fingerprintIsRight(bytes);
}

/** The class is two bits in the middle of the method's twelve (RFC 8489 §5, figure 3). */
function splitType(type: number): { class: StunClass; method: number } {
  const method = (type & 0xf) | ((type >> 1) & 0x70) | ((type >> 2) & 0xf80);
  // Invariant: two bits are four classes.
  return { class: CLASSES[((type >> 4) & 1) | ((type >> 7) & 2)] as StunClass, method };
}

function joinType(message: StunMessage): number {
  const { method } = message;
  const index = CLASSES.indexOf(message.class);
  return (method & 0xf) | ((method & 0x70) << 1) | ((method & 0xf80) << 2) | ((index & 1) << 4) | ((index & 2) << 7);
}

/** A message with more attributes behind it, and the length that this makes. */
function append(bytes: Uint8Array, tlvs: readonly Uint8Array[]): Uint8Array {
  const total = tlvs.reduce((sum, { length }) => sum + length, bytes.length);
  const longer = new Uint8Array(total);
  longer.set(bytes);
  let at = bytes.length;
  for (const tlv of tlvs) {
    longer.set(tlv, at);
    at += tlv.length;
  }
  setLength(longer, total);
  return longer;
}

function setLength(bytes: Uint8Array, total: number): void {
  if (total - HEADER_BYTES > 0xffff) throw new RangeError(`Cannot write a STUN message of ${total} bytes`);
  new DataView(bytes.buffer).setUint16(2, total - HEADER_BYTES);
}
