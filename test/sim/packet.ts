import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { formatIp, ipScope, parseIp } from "../../src/core/net/ip.ts";

/** An IPv4 address as a number: the simulated internet has no IPv6. */
export type Address = number;
/** An address and a port as one number, so that it can be a key: `address * 65536 + port`. */
export type EndId = number;

/** A UDP datagram on its way. It belongs to whoever holds it: routers and NATs change it and pass it on. */
export interface Packet {
  from: EndId;
  to: EndId;
  ttl: number;
  readonly payload: Uint8Array;
}

/** Something that datagrams can be handed to. */
export interface Node {
  receive(packet: Packet): void;
}

const PORTS = 65_536;
const parsed = new Map<string, Address | undefined>();
const formatted = new Map<Address, string>();

/** Undefined for what is no IPv4 address in canonical text. */
export function parseAddress(text: string): Address | undefined {
  if (!parsed.has(text)) {
    const bytes = parseIp(text);
    parsed.set(text, bytes?.length === 4 ? new DataView(bytes.buffer).getUint32(0) : undefined);
  }
  return parsed.get(text);
}

/** The number of an address that the laboratory itself chose. */
export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`The simulated internet has no address ${text}`);
  return address;
}

export function formatAddress(address: Address): string {
  let text = formatted.get(address);
  if (text === undefined) {
    text = formatIp(Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address));
    formatted.set(address, text);
  }
  return text;
}

export function isGlobal(address: Address): boolean {
  return ipScope(formatAddress(address)) === "public";
}

export function endId(address: Address, port: number): EndId {
  return address * PORTS + port;
}

export function addressIn(end: EndId): Address {
  return Math.floor(end / PORTS);
}

export function portIn(end: EndId): number {
  return end % PORTS;
}

export function endpointOf(end: EndId): Endpoint {
  return { address: formatAddress(addressIn(end)), port: portIn(end) };
}
