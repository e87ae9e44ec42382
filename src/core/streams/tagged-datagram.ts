import { readU32, writeU32 } from "../pipe/packet.ts";

/** A datagram of a stream, as one of QUIC's: `stream(4) | payload`, the stream's number big endian. */
export interface TaggedDatagram {
  readonly stream: number;
  readonly payload: Uint8Array;
}

const TAG_BYTES = 4;

export function encodeTagged({ stream, payload }: TaggedDatagram): Uint8Array {
  const bytes = new Uint8Array(TAG_BYTES + payload.length);
  writeU32(bytes, 0, stream);
  bytes.set(payload, TAG_BYTES);
  return bytes;
}

/** Undefined: too short for one. */
export function decodeTagged(bytes: Uint8Array): TaggedDatagram | undefined {
  if (bytes.length < TAG_BYTES) return undefined;
  return { stream: readU32(bytes, 0), payload: bytes.subarray(TAG_BYTES) };
}
