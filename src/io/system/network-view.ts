import { withoutTrackable } from "../../core/ice/private-addresses.ts";
import { ipFamily } from "../../core/net/ip.ts";
import { type DefaultGateway, defaultGateway } from "./default-gateway.ts";
import { inet6Flags } from "./inet6-flags.ts";
import { type OwnAddress, ownAddresses } from "./interfaces.ts";

/** What decides which NATs this host's datagrams pass. */
export interface NetworkView {
  readonly gateway: DefaultGateway | undefined;
  /**
   * This host's own, of one family, on all interfaces, loopback too; canonical text, the one towards the gateway first.
   * Those of a private network in a tunnel are left out: a pipe that carries the tunnel would go direct through itself.
   */
  readonly addresses: readonly string[];
}

/** How this host's network looks now, to traffic of one address family. */
export async function networkView(family: 4 | 6): Promise<NetworkView> {
  const gateway = await defaultGateway();
  const isFirst = (address: string) => Number(address === gateway?.localAddress);
  const addresses = family === 6 ? ipv6Addresses() : ipv4Addresses();
  return { gateway, addresses: addresses.toSorted((one, other) => isFirst(other) - isFirst(one)) };
}

/** Those that may be told to peers: what the system wants used for something new, and does not name this host. */
export function ipv6Addresses(): readonly string[] {
  const flags = inet6Flags();
  const fit = usable(6).filter(({ address }) => flags.get(address)?.isUnfit !== true);
  const own = fit.map((one) => ({ ...one, isTemporary: flags.get(one.address)?.isTemporary === true }));
  return withoutTrackable(own).map(({ address }) => address);
}

function ipv4Addresses(): string[] {
  return usable(4).map(({ address }) => address);
}

function usable(family: 4 | 6): OwnAddress[] {
  const own = ownAddresses(["loopback", "private", "shared", "public"]);
  return own.filter(
    ({ address, isTunnel, scope }) => ipFamily(address) === family && (!isTunnel || scope === "public"),
  );
}
