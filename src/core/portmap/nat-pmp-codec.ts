import { formatIp } from "../net/ip.ts";
import type { PortMapFailureKind, Transport } from "./protocol.ts";

/**
 * NAT Port Mapping Protocol on the wire (RFC 6886), big endian. Opcodes: 0 external address, 1 map UDP, 2 map TCP.
 *
 *     requests: 0(1) | 0(1)
 *               0(1) | Opcode(1) | 0(2) | Internal port(2) | External port(2) | Lifetime(4)
 *     answers:  0(1) | 128(1) | Result(2) | Epoch(4) | External address(4)
 *               0(1) | 128+Opcode(1) | Result(2) | Epoch(4) | Internal port(2) | External port(2) | Lifetime(4)
 */
const VERSION = 0;
const ANSWER = 128;
const OPCODES: Record<Transport, number> = { udp: 1, tcp: 2 };
const HEADER_BYTES = 8;
const ADDRESS_BYTES = 12;
const MAP_BYTES = 16;

export interface NatPmpMapRequest {
  readonly transport: Transport;
  readonly internalPort: number;
  /** Wished for; 0 when the mapping is to be forgotten. */
  readonly externalPort: number;
  /** 0 asks to forget the mapping. */
  readonly lifetimeSeconds: number;
}

/** Beside a result other than 0 nothing but the epoch means anything, and gateways cut the rest off: it reads as zeros. */
export type NatPmpAnswer =
  | { readonly type: "address"; readonly result: number; readonly epochSeconds: number; readonly address: string }
  | {
      readonly type: "map";
      readonly transport: Transport;
      readonly result: number;
      readonly epochSeconds: number;
      readonly internalPort: number;
      readonly externalPort: number;
      readonly lifetimeSeconds: number;
    };

export type NatPmpDecoded =
  | { readonly ok: true; readonly answer: NatPmpAnswer }
  | { readonly ok: false; readonly kind: "bad-length" | "other-version" | "not-an-answer" | "unknown-opcode" };

/** RFC 6886 §3.5: result codes by number, and what each of them means for a mapping that was asked for. */
export const NAT_PMP_RESULTS: Readonly<Record<number, { readonly name: string; readonly kind: PortMapFailureKind }>> = {
  1: { name: "unsupported version", kind: "unsupported" },
  2: { name: "not authorized", kind: "not-authorized" },
  3: { name: "network failure", kind: "no-external-address" },
  4: { name: "out of resources", kind: "no-resources" },
  5: { name: "unsupported opcode", kind: "unsupported" },
};

export function encodeAddressRequest(): Uint8Array {
  return new Uint8Array(2);
}

export function encodeNatPmpMapRequest(request: NatPmpMapRequest): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  bytes[1] = OPCODES[request.transport];
  view.setUint16(4, request.internalPort);
  view.setUint16(6, request.externalPort);
  view.setUint32(8, request.lifetimeSeconds);
  return bytes;
}

export function decodeNatPmpAnswer(bytes: Uint8Array): NatPmpDecoded {
  if (bytes.length < HEADER_BYTES) return { ok: false, kind: "bad-length" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== VERSION) return { ok: false, kind: "other-version" };
  const opcode = view.getUint8(1) - ANSWER;
  if (opcode < 0) return { ok: false, kind: "not-an-answer" };
  if (opcode > OPCODES.tcp) return { ok: false, kind: "unknown-opcode" };
  const header = { result: view.getUint16(2), epochSeconds: view.getUint32(4) };
  const length = opcode === 0 ? ADDRESS_BYTES : MAP_BYTES;
  if (header.result === 0 && bytes.length < length) return { ok: false, kind: "bad-length" };
  const body = new Uint8Array(MAP_BYTES);
  if (header.result === 0) body.set(bytes.subarray(0, length));
  return { ok: true, answer: decodeBody(opcode, header, body) };
}

function decodeBody(opcode: number, header: { result: number; epochSeconds: number }, body: Uint8Array): NatPmpAnswer {
  const view = new DataView(body.buffer);
  if (opcode === 0)
    return { type: "address", ...header, address: formatIp(body.subarray(HEADER_BYTES, ADDRESS_BYTES)) };
  return {
    type: "map",
    transport: opcode === OPCODES.udp ? "udp" : "tcp",
    ...header,
    internalPort: view.getUint16(8),
    externalPort: view.getUint16(10),
    lifetimeSeconds: view.getUint32(12),
  };
}
