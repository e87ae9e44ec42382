import { NatPmpClient } from "./nat-pmp.ts";
import { PcpClient } from "./pcp.ts";
import type { PortMapClient, PortMapOptions, PortMapProtocol } from "./protocol.ts";
import { UpnpClient } from "./upnp.ts";

/** All protocols, the most wanted first: PCP knows its owners and its restarts best, UPnP least. */
export const PORT_MAP_PROTOCOLS: readonly PortMapProtocol[] = ["pcp", "nat-pmp", "upnp"];

export function portMapClient(protocol: PortMapProtocol, options: PortMapOptions): PortMapClient {
  switch (protocol) {
    case "pcp":
      return new PcpClient(options);
    case "nat-pmp":
      return new NatPmpClient(options);
    case "upnp":
      return new UpnpClient(options);
    default:
      return protocol satisfies never;
  }
}
