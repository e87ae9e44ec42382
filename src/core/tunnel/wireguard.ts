/**
 * What of WireGuard is readable on the wire, from its protocol description: message type (1, little endian u32 with
 * three reserved zero bytes), lengths, receiver index. `ut` never needs it to be WireGuard; it only helps if it is.
 */
const INITIATION_BYTES = 148;
const RESPONSE_BYTES = 92;
const COOKIE_BYTES = 64;
const TRANSPORT_MIN_BYTES = 32;

/** Handshake initiation, response or cookie reply: the datagrams whose loss costs five seconds. */
export function isWireGuardHandshake(datagram: Uint8Array): boolean {
  switch (messageType(datagram)) {
    case 1:
      return datagram.length === INITIATION_BYTES;
    case 2:
      return datagram.length === RESPONSE_BYTES;
    case 3:
      return datagram.length === COOKIE_BYTES;
    default:
      return false;
  }
}

/** Receiver index of a transport message, as u32, or -1: it stays the same for a key of one peer in one direction. */
export function wireGuardReceiver(datagram: Uint8Array): number {
  if (datagram.length < TRANSPORT_MIN_BYTES || messageType(datagram) !== 4) return -1;
  // Invariant: at least 32 bytes.
  return (datagram[4]! | (datagram[5]! << 8) | (datagram[6]! << 16) | (datagram[7]! << 24)) >>> 0;
}

function messageType(datagram: Uint8Array): number {
  if (datagram.length < 4 || datagram[1] !== 0 || datagram[2] !== 0 || datagram[3] !== 0) return -1;
  // Invariant: at least 4 bytes.
  return datagram[0]!;
}
