import { equalBytes, hmacSha256 } from "../crypto.ts";

/**
 * What the two ends of a hard-NAT punch tell each other.
 *
 *   probe      nat3 → a port of nat4, blindly; nat4 → nat3, to open its own NAT, meant to die on the way
 *   hit        nat4 → nat3: your probe got through to this socket
 *   confirm    nat3 → nat4: I choose this socket
 *   confirmed  nat4 → nat3: settled; and nat3 → nat4: heard, you may stop listening
 */
export type ProbeKind = "probe" | "hit" | "confirm" | "confirmed";
export type PunchRole = "nat3" | "nat4";

export interface ProbeBody {
  /** Of this run of the sender, 64 random bits: nothing of an earlier run can be taken for one of this. */
  readonly nonce: bigint;
  /** The receiver's nonce, which proves that the sender heard it in this run; 0 in a probe. */
  readonly echo: bigint;
  /** A probe's own number among its sender's packets, from 1; in the others the number of the probe that hit. */
  readonly number: number;
  /** Whatever the user wants to be told at the other end; `MAX_CONTENT_BYTES` of UTF-8 at most. */
  readonly content: string;
}

/**
 * How probes look on the wire: `tokenCodec` and `plainCodec` for `ut nat4`, sealed packets between peers. A codec
 * belongs to one role and reads only what the other role wrote.
 */
export interface ProbeCodec {
  /** What it reads was written by somebody who knows the secret. */
  readonly authenticated: boolean;
  encode(kind: ProbeKind, body: ProbeBody): Uint8Array;
  /** Any bytes at all. */
  decode(bytes: Uint8Array): DecodedProbe;
}

export type DecodedProbe =
  | { readonly ok: true; readonly kind: ProbeKind; readonly body: ProbeBody }
  | { readonly ok: false; readonly kind: ProbeError };

/**
 * `foreign` is no probe; `own-role` was written by a side of our own role, such as ourselves; `no-token` came without a
 * token where one is demanded, `wrong-token` with another one, `unasked-token` with one where we have none.
 */
export type ProbeError = "foreign" | "malformed" | "own-role" | "no-token" | "wrong-token" | "unasked-token";

export const MAX_CONTENT_BYTES = 256;

/** The first byte is none of STUN's (0x00–0x3F), WireGuard's or a sealed packet's (0xD0–0xDF); then "U4", version 1. */
const MAGIC = Uint8Array.of(0xe4, 0x55, 0x34, 0x01);
/** Magic 4, kind 1, flags 1, content length 2, number 4, nonce 8, echo 8. */
const HEADER_BYTES = 28;
const MAC_BYTES = 16;
const FLAG_MAC = 0x01;
const FLAG_NAT4 = 0x02;
const KINDS: readonly ProbeKind[] = ["probe", "hit", "confirm", "confirmed"];

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Probes that anybody on the way could have written. */
export function plainCodec(role: PunchRole): ProbeCodec {
  return {
    authenticated: false,
    encode: (kind, body) => encodeProbe(role, kind, body, false),
    decode: (bytes) => decodeProbe(role, bytes, undefined),
  };
}

/** Probes under HMAC-SHA-256, cut to 16 bytes, keyed by what both users typed. The role of the sender is covered. */
export function tokenCodec(role: PunchRole, token: string): ProbeCodec {
  // One use of the token, one key: the same token elsewhere gives no MAC that would pass here.
  const key = hmacSha256(utf8.encode("ut nat4 probe v1"), utf8.encode(token));
  return {
    authenticated: true,
    encode(kind, body) {
      const covered = encodeProbe(role, kind, body, true);
      const bytes = new Uint8Array(covered.length + MAC_BYTES);
      bytes.set(covered);
      bytes.set(mac(key, covered), covered.length);
      return bytes;
    },
    decode: (bytes) => decodeProbe(role, bytes, key),
  };
}

function encodeProbe(role: PunchRole, kind: ProbeKind, body: ProbeBody, withMac: boolean): Uint8Array {
  const content = utf8.encode(body.content);
  if (content.length > MAX_CONTENT_BYTES)
    throw new RangeError(`Cannot send ${content.length} bytes of content: ${MAX_CONTENT_BYTES} is the most`);
  const bytes = new Uint8Array(HEADER_BYTES + content.length);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint8(4, KINDS.indexOf(kind));
  view.setUint8(5, (withMac ? FLAG_MAC : 0) | (role === "nat4" ? FLAG_NAT4 : 0));
  view.setUint16(6, content.length);
  view.setUint32(8, body.number);
  view.setBigUint64(12, body.nonce);
  view.setBigUint64(20, body.echo);
  bytes.set(content, HEADER_BYTES);
  return bytes;
}

function decodeProbe(role: PunchRole, bytes: Uint8Array, key: Uint8Array | undefined): DecodedProbe {
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return { ok: false, kind: "foreign" };
  if (bytes.length < HEADER_BYTES) return { ok: false, kind: "malformed" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = KINDS[view.getUint8(4)];
  const flags = view.getUint8(5);
  const coveredBytes = HEADER_BYTES + view.getUint16(6);
  const withMac = (flags & FLAG_MAC) !== 0;
  if (kind === undefined || bytes.length !== coveredBytes + (withMac ? MAC_BYTES : 0))
    return { ok: false, kind: "malformed" };
  if (withMac !== (key !== undefined)) return { ok: false, kind: withMac ? "unasked-token" : "no-token" };
  if (key !== undefined && !equalBytes(mac(key, bytes.subarray(0, coveredBytes)), bytes.subarray(coveredBytes)))
    return { ok: false, kind: "wrong-token" };
  if (((flags & FLAG_NAT4) !== 0) === (role === "nat4")) return { ok: false, kind: "own-role" };
  const content = decodeContent(bytes.subarray(HEADER_BYTES, coveredBytes));
  if (content === undefined) return { ok: false, kind: "malformed" };
  const body = { nonce: view.getBigUint64(12), echo: view.getBigUint64(20), number: view.getUint32(8), content };
  return { ok: true, kind, body };
}

function decodeContent(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_CONTENT_BYTES) return undefined;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function mac(key: Uint8Array, covered: Uint8Array): Uint8Array {
  return hmacSha256(key, covered).subarray(0, MAC_BYTES);
}
