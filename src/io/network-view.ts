import { ipFamily } from "../core/net/ip.ts";
import { type DefaultGateway, defaultGateway } from "./default-gateway.ts";
import { ownAddresses } from "./interfaces.ts";

/** What decides which NATs this host's datagrams pass. */
export interface NetworkView {
  readonly gateway: DefaultGateway | undefined;
  /** This host's own, of one family, on all interfaces, loopback too; canonical text, in the system's order. */
  readonly addresses: readonly string[];
}

/** How this host's network looks now, to traffic of one address family. */
export async function networkView(family: 4 | 6): Promise<NetworkView> {
  const addresses = ownAddresses(["loopback", "private", "shared", "public"]).map(({ address }) => address);
  return { gateway: await defaultGateway(), addresses: addresses.filter((one) => ipFamily(one) === family) };
}
