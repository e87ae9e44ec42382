import { ipFamily } from "../../core/net/ip.ts";
import { defaultGateway } from "../../io/system/default-gateway.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";
import type { ServerRoute } from "./server-route.ts";

/**
 * Whether the lanes leave by this machine's network, and not through the tunnel that they carry: with `AllowedIPs =
 * 0.0.0.0/0` the route to the server leads into WireGuard, whose datagrams lead back to `ut`, and nothing passes at all.
 */
export const routingCheck: Check = {
  name: "routing",
  doing: "asking for the route to the server",
  run: async (scene) => Promise.all((await scene.routes).map(judge)),
};

async function judge({ address, interfaceName, kind, entry }: ServerRoute): Promise<Finding> {
  switch (kind) {
    case "plain":
      return ok(`${address} is reached by ${interfaceName}`);
    case "loop": {
      const text = `the way to ${address} leads into ${interfaceName}, whose peer is this node (${entry}): lanes would carry themselves`;
      return failed("routing-loop", text, ...(await remedies(address)));
    }
    case "tunnel": {
      const text = `${address} is reached by ${interfaceName}, a tunnel: nothing passes if it is the one that ut carries`;
      const look = `sudo wg show ${interfaceName} endpoints`;
      return warning("routing-loop-possible", text, look, ...(await remedies(address)));
    }
    default:
      return kind satisfies never;
  }
}

async function remedies(address: string): Promise<string[]> {
  const isIpv4 = ipFamily(address) === 4;
  const gateway = isIpv4 ? await defaultGateway() : undefined;
  const { address: hop, interfaceName } = gateway ?? { address: "GATEWAY", interfaceName: "INTERFACE" };
  const linux = isIpv4 ? `ip route replace ${address}/32` : `ip -6 route replace ${address}/128`;
  const macos = `route -n add ${isIpv4 ? "" : "-inet6 "}-host ${address} ${hop}`;
  const command = process.platform === "darwin" ? macos : `${linux} via ${hop} dev ${interfaceName}`;
  return [`sudo ${command}`, 'for good: "Routing without a loop" in docs/tunnel.md'];
}
