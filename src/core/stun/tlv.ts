/** Bytes before the first attribute (RFC 8489 §5). */
export const HEADER_BYTES = 20;

/** One attribute as it stands in a message. */
export interface Tlv {
  readonly type: number;
  /** Where its header begins in the message. */
  readonly at: number;
  /** A view into the message, without padding. */
  readonly value: Uint8Array;
}

/** All attributes in their order; undefined when one reaches beyond the end of the message (RFC 8489 §14). */
export function readTlvs(bytes: Uint8Array): Tlv[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tlvs: Tlv[] = [];
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = view.getUint16(at + 2);
    const next = at + 4 + padded(length);
    if (next > bytes.length) return undefined;
    tlvs.push({ type: view.getUint16(at), at, value: bytes.subarray(at + 4, at + 4 + length) });
    at = next;
  }
  return tlvs;
}

/** Header, value, and zeros up to a multiple of four bytes. */
export function writeTlv(type: number, value: Uint8Array): Uint8Array {
  if (value.length > 0xffff) throw new RangeError(`Cannot write STUN attribute ${type}: ${value.length} bytes`);
  const bytes = new Uint8Array(4 + padded(value.length));
  bytes.set([type >> 8, type & 0xff, value.length >> 8, value.length & 0xff]);
  bytes.set(value, 4);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
