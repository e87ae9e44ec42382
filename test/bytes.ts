/** Bytes written as hex, with spaces where they help to read: `hex("5554 01 01")`. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A datagram that shows its number: big endian u32, then `length - 4` bytes derived from it. */
export function numbered(number: number, length = 8): Uint8Array {
  const bytes = new Uint8Array(Math.max(4, length)).fill(number & 0xff);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

export function numberOf(datagram: Uint8Array): number {
  return new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength).getUint32(0);
}
