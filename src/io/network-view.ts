import { ipFamily } from "../core/net/ip.ts";
import { type DefaultGateway, defaultGateway } from "./default-gateway.ts";
import { ownAddresses } from "./interfaces.ts";

/** What decides which NATs this host's datagrams pass. */
export interface NetworkView {
  readonly gateway: DefaultGateway | undefined;
  /**
   * This host's own, of one family, on all interfaces, loopback too; canonical text, in the system's order. Those of a
   * private network in a tunnel are left out: a pipe that carries the tunnel would go direct through itself.
   */
  readonly addresses: readonly string[];
}

/** How this host's network looks now, to traffic of one address family. */
export async function networkView(family: 4 | 6): Promise<NetworkView> {
  const own = ownAddresses(["loopback", "private", "shared", "public"]);
  const useful = own.filter(({ isTunnel, scope }) => !isTunnel || scope === "public").map(({ address }) => address);
  return { gateway: await defaultGateway(), addresses: useful.filter((one) => ipFamily(one) === family) };
}
