import { FINGERPRINT } from "./attributes.ts";
import { writeTlv } from "./tlv.ts";

/** Of the whole attribute: four bytes of header, four of CRC. */
export const FINGERPRINT_BYTES = 8;
/** Tells a STUN fingerprint from the CRC of another protocol on the same port (RFC 8489 §14.7): "STUN". */
const XOR = 0x5354_554e;

/** The FINGERPRINT attribute of a message, whose header already counts it. */
export function fingerprintTlv(covered: Uint8Array): Uint8Array {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, fingerprint(covered));
  return writeTlv(FINGERPRINT, value);
}

/** Whether `message`, the last attribute of which is FINGERPRINT, carries the right one. */
export function fingerprintIsRight(message: Uint8Array): boolean {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const covered = message.subarray(0, message.length - FINGERPRINT_BYTES);
  return view.getUint32(message.length - 4) === fingerprint(covered);
}

function fingerprint(bytes: Uint8Array): number {
  return (crc32(bytes) ^ XOR) >>> 0;
}

/** ITU V.42's CRC-32, bits reflected. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  return crc;
});
