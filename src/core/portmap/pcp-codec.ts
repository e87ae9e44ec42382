import type { Endpoint } from "../net/endpoint.ts";
import { canonicalIp, formatIp, ipFamily, parseIp } from "../net/ip.ts";
import type { Transport } from "./protocol.ts";

/**
 * Port Control Protocol on the wire (RFC 6887), big endian: MAP and ANNOUNCE, requests out and answers in.
 *
 *     request:  Version=2(1) | Opcode(1) | 0(2) | Lifetime(4) | Client address(16)
 *     answer:   Version(1) | 0x80+Opcode(1) | 0(1) | Result(1) | Lifetime(4) | Epoch(4) | 0(12)
 *     MAP:      Nonce(12) | Protocol(1) | 0(3) | Internal port(2) | External port(2) | External address(16)
 *
 * IPv4 addresses travel as IPv4-mapped ones (§5). Options are neither sent nor read.
 */
export const PCP_VERSION = 2;
export const NONCE_BYTES = 12;
const OPCODE_ANNOUNCE = 0;
const OPCODE_MAP = 1;
const ANSWER = 0x80;
const HEADER_BYTES = 24;
const MAP_BYTES = 36;
/** §7: longer messages are not PCP. */
const MAX_BYTES = 1_100;

/** IANA protocol numbers, as MAP names transports. */
const PROTOCOL_NUMBERS: Record<Transport, number> = { tcp: 6, udp: 17 };

export interface PcpMapRequest {
  /** 0 asks to forget the mapping. */
  readonly lifetimeSeconds: number;
  readonly clientAddress: string;
  readonly nonce: Uint8Array;
  readonly transport: Transport;
  readonly internalPort: number;
  /** The one wished for; undefined leaves address and port to the gateway. */
  readonly external: { readonly address?: string; readonly port: number } | undefined;
}

export type PcpAnswer =
  /** Of another version: all that can be known is which one. NAT-PMP is version 0. */
  | { readonly type: "other-version"; readonly version: number; readonly isError: boolean }
  | ({ readonly type: "announce" } & PcpAnswerHeader)
  /** `mapping` may be missing when the result is an error. */
  | ({ readonly type: "map"; readonly mapping: PcpMapping | undefined } & PcpAnswerHeader);

export interface PcpAnswerHeader {
  /** A key of `PCP_RESULTS`, or a number that came later. */
  readonly result: number;
  /** Of the mapping, or for how long the error is to be believed. */
  readonly lifetimeSeconds: number;
  readonly epochSeconds: number;
}

export interface PcpMapping {
  readonly nonce: Uint8Array;
  readonly transport: Transport | undefined;
  readonly internalPort: number;
  readonly external: Endpoint;
}

export type PcpDecoded =
  | { readonly ok: true; readonly answer: PcpAnswer }
  | { readonly ok: false; readonly kind: "bad-length" | "not-an-answer" | "unknown-opcode" };

/** Asks for nothing but an answer (§14.1.1), which tells that PCP is spoken. The address must be canonical text. */
export function encodeAnnounceRequest(clientAddress: string): Uint8Array {
  return withHeader(OPCODE_ANNOUNCE, 0, clientAddress, 0);
}

/** The addresses must be IP addresses in canonical text and the nonce 12 bytes. */
export function encodeMapRequest(request: PcpMapRequest): Uint8Array {
  const bytes = withHeader(OPCODE_MAP, request.lifetimeSeconds, request.clientAddress, MAP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(request.nonce, HEADER_BYTES);
  bytes[HEADER_BYTES + 12] = PROTOCOL_NUMBERS[request.transport];
  view.setUint16(HEADER_BYTES + 16, request.internalPort);
  view.setUint16(HEADER_BYTES + 18, request.external?.port ?? 0);
  // §11.1: no wish for an address is all zeros of the family that is wanted.
  const anyAddress = ipFamily(request.clientAddress) === 4 ? "0.0.0.0" : "::";
  bytes.set(encodeAddress(request.external?.address ?? anyAddress), HEADER_BYTES + 20);
  return bytes;
}

export function decodePcpAnswer(bytes: Uint8Array): PcpDecoded {
  if (bytes.length < 4 || bytes.length > MAX_BYTES) return { ok: false, kind: "bad-length" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(0);
  const opcode = view.getUint8(1);
  if (opcode < ANSWER) return { ok: false, kind: "not-an-answer" };
  // §9, and RFC 6886 §3.5 for version 0: the result's place is the same, its width (8 or 16 bits) does not matter here.
  if (version !== PCP_VERSION)
    return { ok: true, answer: { type: "other-version", version, isError: view.getUint8(3) !== 0 } };
  // §8.3: whole 32-bit words.
  if (bytes.length < HEADER_BYTES || bytes.length % 4 !== 0) return { ok: false, kind: "bad-length" };
  const header = { result: view.getUint8(3), lifetimeSeconds: view.getUint32(4), epochSeconds: view.getUint32(8) };
  if (opcode === ANSWER + OPCODE_ANNOUNCE) return { ok: true, answer: { type: "announce", ...header } };
  if (opcode !== ANSWER + OPCODE_MAP) return { ok: false, kind: "unknown-opcode" };
  const mapping = bytes.length < HEADER_BYTES + MAP_BYTES ? undefined : decodeMapping(bytes, view);
  if (mapping === undefined && header.result === 0) return { ok: false, kind: "bad-length" };
  return { ok: true, answer: { type: "map", mapping, ...header } };
}

function decodeMapping(bytes: Uint8Array, view: DataView): PcpMapping {
  const protocol = view.getUint8(HEADER_BYTES + 12);
  return {
    nonce: bytes.slice(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES),
    transport: protocol === PROTOCOL_NUMBERS.tcp ? "tcp" : protocol === PROTOCOL_NUMBERS.udp ? "udp" : undefined,
    internalPort: view.getUint16(HEADER_BYTES + 16),
    external: {
      address: decodeAddress(bytes.subarray(HEADER_BYTES + 20, HEADER_BYTES + MAP_BYTES)),
      port: view.getUint16(HEADER_BYTES + 18),
    },
  };
}

function withHeader(opcode: number, lifetimeSeconds: number, clientAddress: string, bodyBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + bodyBytes);
  bytes[0] = PCP_VERSION;
  bytes[1] = opcode;
  new DataView(bytes.buffer).setUint32(4, lifetimeSeconds);
  bytes.set(encodeAddress(clientAddress), 8);
  return bytes;
}

function encodeAddress(address: string): Uint8Array {
  const ip = parseIp(address);
  const bytes = new Uint8Array(16);
  if (ip?.length === 16) bytes.set(ip);
  else if (ip !== undefined) {
    bytes.fill(0xff, 10, 12);
    bytes.set(ip, 12);
  }
  return bytes;
}

function decodeAddress(bytes: Uint8Array): string {
  const text = formatIp(bytes);
  return canonicalIp(text) ?? text;
}
