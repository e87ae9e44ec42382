import { type Destination, decodeAddress, encodeAddress } from "./address.ts";

export type UdpReading =
  | { readonly ok: true; readonly destination: Destination; readonly payload: Uint8Array }
  /** `fragment`: one piece of a datagram. RFC 1928 §7: whoever does not put them together drops them. */
  | { readonly ok: false; readonly kind: "fragment" | "malformed" | "address_type" };

/** `RSV(2) | FRAG(1) | ATYP | DST.ADDR | DST.PORT | DATA`, between a program and its proxy (RFC 1928 §7). */
export function decodeUdp(datagram: Uint8Array): UdpReading {
  const [, , fragment] = datagram;
  if (fragment === undefined) return { ok: false, kind: "malformed" };
  if (fragment !== 0) return { ok: false, kind: "fragment" };
  return decodeAddressed(datagram, 3);
}

export function encodeUdp(destination: Destination, payload: Uint8Array): Uint8Array {
  return joined([0, 0, 0], destination, payload);
}

/** `ATYP | ADDR | PORT | DATA`, between proxy and agent: whom a datagram is for, or from whom it is. */
export function decodeAddressed(datagram: Uint8Array, start = 0): UdpReading {
  const address = decodeAddress(datagram, start);
  if (address.ok) return { ok: true, destination: address.destination, payload: datagram.subarray(address.end) };
  return { ok: false, kind: address.kind === "address_type" ? "address_type" : "malformed" };
}

export function encodeAddressed(destination: Destination, payload: Uint8Array): Uint8Array {
  return joined([], destination, payload);
}

function joined(head: readonly number[], destination: Destination, payload: Uint8Array): Uint8Array {
  const address = encodeAddress(destination);
  const bytes = new Uint8Array(head.length + address.length + payload.length);
  bytes.set(head);
  bytes.set(address, head.length);
  bytes.set(payload, head.length + address.length);
  return bytes;
}
