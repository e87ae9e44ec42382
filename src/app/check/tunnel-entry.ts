import { type Address, formatAddress, isWildcard } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import { ipScope } from "../../core/net/ip.ts";
import { ownAddresses } from "../../io/system/interfaces.ts";
import type { WireGuardInterface } from "../../io/system/wireguard.ts";

/** A local UDP port of this node that a WireGuard may have as the endpoint of its peer. */
export interface TunnelEntry {
  readonly key: string;
  readonly address: Address;
  /** By way of a pipe, whose datagrams may go direct. */
  readonly isPipe: boolean;
}

export function tunnelEntries({ roles, udp, relay }: Config): TunnelEntry[] {
  const client = { key: "udp.listen_addr", address: udp.listen_addr, isPipe: false };
  const relays = relay.map(({ listen_addr: address }, i) => ({
    key: `relay[${i}].listen_addr`,
    address,
    isPipe: true,
  }));
  return [...(roles.includes("client") ? [client] : []), ...(roles.includes("relay") ? relays : [])];
}

/** The entry that a WireGuard interface leads into, if it is one of this node's. */
export function entryOf(
  entries: readonly TunnelEntry[],
  { endpoints }: WireGuardInterface,
): { readonly entry: TunnelEntry; readonly text: string } | undefined {
  for (const endpoint of endpoints) {
    const entry = entries.find(({ address }) => leadsTo(endpoint, address));
    if (entry !== undefined) return { entry, text: `${formatEndpoint(endpoint)}, ${entry.key}` };
  }
  return undefined;
}

function leadsTo({ address, port }: Endpoint, listen: Address): boolean {
  if (port !== listen.port) return false;
  if (formatAddress({ host: address, port }) === formatAddress(listen)) return true;
  if (!isWildcard(listen.host) && listen.host !== "localhost") return false;
  return ipScope(address) === "loopback" || ownAddresses().some((own) => own.address === address);
}
