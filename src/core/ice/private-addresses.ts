import { type IpBytes, ipFamily, parseIp } from "../net/ip.ts";

/** One of this host's addresses, as it may be told to a peer. */
export interface TellableAddress {
  readonly address: string;
  readonly interfaceName: string;
  /** Leading bits that the network shares. */
  readonly prefixLength: number;
  /** It hides who this host is, and changes now and then (RFC 8981). */
  readonly isTemporary: boolean;
}

/**
 * Without those that would let a host be followed from network to network where the same interface has an address in the
 * same prefix that does not (RFC 8445 §5.1.1.1): a permanent one beside a temporary one, one made of the hardware
 * address beside one that is not.
 */
export function withoutTrackable<Own extends TellableAddress>(addresses: readonly Own[]): Own[] {
  return addresses.filter(
    (one) => !addresses.some((other) => isSameNetwork(one, other) && tracking(other) < tracking(one)),
  );
}

/** 0: a temporary address; 2: one that names the hardware (RFC 4291, modified EUI-64); 1: anything else. */
function tracking({ address, isTemporary }: TellableAddress): number {
  if (isTemporary) return 0;
  const bytes = parseIp(address);
  return bytes?.[11] === 0xff && bytes[12] === 0xfe ? 2 : 1;
}

function isSameNetwork(one: TellableAddress, other: TellableAddress): boolean {
  if (ipFamily(one.address) !== 6 || ipFamily(other.address) !== 6) return false;
  if (one.interfaceName !== other.interfaceName || one.prefixLength !== other.prefixLength) return false;
  const [ours, theirs] = [parseIp(one.address), parseIp(other.address)];
  return ours !== undefined && theirs !== undefined && sharesPrefix(ours, theirs, one.prefixLength);
}

function sharesPrefix(one: IpBytes, other: IpBytes, bits: number): boolean {
  return one.every((byte, index) => {
    const counted = Math.min(8, Math.max(0, bits - index * 8));
    return (byte ^ (other[index] ?? 0)) >> (8 - counted) === 0;
  });
}
