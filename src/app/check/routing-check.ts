import { ipFamily } from "../../core/net/ip.ts";
import { defaultGateway } from "../../io/default-gateway.ts";
import { ownAddresses } from "../../io/interfaces.ts";
import { interfaceTowards } from "../../io/route-to.ts";
import type { WireGuardInterface } from "../../io/wireguard.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";
import type { Scene } from "./scene.ts";
import { entryOf, tunnelEntries } from "./tunnel-entry.ts";

/**
 * Whether the lanes leave by this machine's network, and not through the tunnel that they carry: with `AllowedIPs =
 * 0.0.0.0/0` the route to the server leads into WireGuard, whose datagrams lead back to `ut`, and nothing passes at all.
 */
export const routingCheck: Check = {
  name: "routing",
  doing: "asking for the route to the server",
  async run(scene) {
    const addresses = (await scene.servers).flatMap((server) => server.addresses.map(({ address }) => address));
    const wireGuards = await scene.wireGuards;
    const findings = await Promise.all([...new Set(addresses)].map((address) => judge(address, wireGuards, scene)));
    return findings.flat();
  },
};

async function judge(
  address: string,
  wireGuards: readonly WireGuardInterface[] | undefined,
  { config }: Scene,
): Promise<Finding[]> {
  const name = await interfaceTowards(address);
  // Without a route there is no connection, which has a check of its own.
  if (name === undefined) return [];
  const wireGuard = wireGuards?.find((one) => one.name === name);
  const inside = wireGuard === undefined ? undefined : entryOf(tunnelEntries(config), wireGuard);
  if (inside !== undefined) {
    const text = `the way to ${address} leads into ${name}, whose peer is this node (${inside.text}): lanes would carry themselves`;
    return [failed("routing-loop", text, ...(await remedies(address)))];
  }
  if (wireGuards !== undefined || !isTunnel(name)) return [ok(`${address} is reached by ${name}`)];
  const text = `${address} is reached by ${name}, which is a tunnel: nothing passes if it is the one that ut carries`;
  return [warning("routing-loop-possible", text, `sudo wg show ${name} endpoints`, ...(await remedies(address)))];
}

async function remedies(address: string): Promise<string[]> {
  const gateway = ipFamily(address) === 4 ? await defaultGateway() : undefined;
  const { address: hop, interfaceName } = gateway ?? { address: "GATEWAY", interfaceName: "INTERFACE" };
  const [route, prefix] = ipFamily(address) === 4 ? ["ip route", 32] : ["ip -6 route", 128];
  const command =
    process.platform === "darwin"
      ? `sudo route -n add -host ${address} ${hop}`
      : `sudo ${route} replace ${address}/${prefix} via ${hop} dev ${interfaceName}`;
  return [command, "for good: docs/tunnel.md, Routing without a loop"];
}

function isTunnel(name: string): boolean {
  return ownAddresses().some((own) => own.interfaceName === name && own.isTunnel);
}
