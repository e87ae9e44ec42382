/**
 * A sealed packet, big endian, the same on the relay path and on the direct one:
 *
 *     type(1) | session(4) | counter(8) | AES-256-GCM( flow(2) ‖ payload )
 *
 * The 13 bytes in front are authenticated with it. `session` is a number that the receiver chose: it finds the keys.
 * Types stand in 0xD0–0xDF, where neither STUN (0x00–0x03) nor QUIC's long headers begin. Source: DESIGN "Sealed end to
 * end".
 */
export const HEADER_BYTES = 13;
export const FLOW_BYTES = 2;
/** What sealing adds to a datagram: header, flow and tag. */
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + FLOW_BYTES + 16;

/** A whole datagram. */
export const TYPE_WHOLE = 0xd0;
/** Half of a datagram that is larger than the path takes: `parts.ts`. */
export const TYPE_PART = 0xd1;

/** Pipe control: challenges, keys, the end. */
export const FLOW_CONTROL = 0;
export const FLOW_QUIC = 1;
/** UDP flows are numbered from here by the side that opened the pipe. */
export const FIRST_UDP_FLOW = 2;
export const MAX_FLOW = 0xffff;

/** The demultiplexer's question about a datagram on the one UDP socket. */
export function looksSealed(bytes: Uint8Array): boolean {
  return bytes.length >= SEAL_OVERHEAD_BYTES && ((bytes[0] ?? 0) & 0xf0) === 0xd0;
}

/** Session number of something that `looksSealed`. */
export function readSession(bytes: Uint8Array): number {
  return readU32(bytes, 1);
}

/** Counter of something that `looksSealed`; one beyond 2⁵³ loses precision, but no authentic packet has it. */
export function readCounter(bytes: Uint8Array): number {
  return readU32(bytes, 5) * 2 ** 32 + readU32(bytes, 9);
}

export function writeHeader(into: Uint8Array, type: number, session: number, counter: number): void {
  into[0] = type;
  writeU32(into, 1, session);
  writeU32(into, 5, Math.floor(counter / 2 ** 32));
  writeU32(into, 9, counter >>> 0);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}

export function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}
