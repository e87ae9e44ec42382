import { networkInterfaces } from "node:os";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { canonicalIp, type IpScope, ipFamily, ipScope } from "../../core/net/ip.ts";

/** An address of this host. */
export interface OwnAddress {
  readonly address: string;
  readonly interfaceName: string;
  /** Leading bits that the network shares. */
  readonly prefixLength: number;
  readonly scope: IpScope;
  /** Of an interface without a link layer: what is sent there another program or packet carries on, as with WireGuard. */
  readonly isTunnel: boolean;
}

const NO_LINK_LAYER = "00:00:00:00:00:00";

/** Scopes of addresses at which another host can reach this one without being told an interface. */
const REACHABLE: readonly IpScope[] = ["private", "shared", "public"];

/** This host's addresses on interfaces that are up, of the scopes asked for, in the system's order. */
export function ownAddresses(scopes: readonly IpScope[] = REACHABLE): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) =>
    addresses.flatMap(({ address: text, cidr, mac, internal }) => {
      const address = canonicalIp(text);
      if (address === undefined || !scopes.includes(ipScope(address))) return [];
      const prefixLength = Number(cidr?.split("/")[1] ?? (ipFamily(address) === 4 ? 32 : 128));
      const isTunnel = mac === NO_LINK_LAYER && !internal;
      return [{ address, interfaceName, prefixLength, scope: ipScope(address), isTunnel }];
    }),
  );
}

/**
 * The address from which this host's datagrams to `to` leave, as its routes are now; undefined without a route. Nothing
 * is sent: the system tells it of a connected UDP socket.
 */
export async function localAddressTowards(to: Endpoint): Promise<string | undefined> {
  try {
    const socket = await Bun.udpSocket({
      hostname: ipFamily(to.address) === 4 ? "0.0.0.0" : "::",
      connect: { hostname: to.address, port: to.port },
      socket: { error() {} },
    });
    const address = canonicalIp(socket.address.address);
    socket.close();
    return address;
  } catch {
    return undefined;
  }
}
