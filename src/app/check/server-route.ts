import type { Config } from "../../config/schema.ts";
import { ownAddresses } from "../../io/system/interfaces.ts";
import { interfaceTowards } from "../../io/system/route-to.ts";
import type { WireGuardInterface } from "../../io/system/wireguard.ts";
import { entryOf, tunnelEntries } from "./tunnel-entry.ts";

/** How the lanes to one address of a server leave this machine. */
export interface ServerRoute {
  readonly address: string;
  readonly interfaceName: string;
  /** `loop`: into a WireGuard whose peer is this node; `tunnel`: into a tunnel of which nobody can tell where it leads. */
  readonly kind: "plain" | "tunnel" | "loop";
  /** Of a loop: the endpoint of that WireGuard's peer, and the key that it is. */
  readonly entry: string;
}

/** Undefined without a route. `wireGuards`: undefined where they cannot be asked. */
export async function serverRoute(
  address: string,
  wireGuards: readonly WireGuardInterface[] | undefined,
  config: Config,
): Promise<ServerRoute | undefined> {
  const name = await interfaceTowards(address);
  if (name === undefined) return undefined;
  const wireGuard = wireGuards?.find((one) => one.name === name);
  const entry = wireGuard === undefined ? undefined : entryOf(tunnelEntries(config), wireGuard)?.text;
  const common = { address, interfaceName: name, entry: entry ?? "" };
  if (entry !== undefined) return { ...common, kind: "loop" };
  return { ...common, kind: wireGuards === undefined && isTunnel(name) ? "tunnel" : "plain" };
}

function isTunnel(name: string): boolean {
  return ownAddresses().some((own) => own.interfaceName === name && own.isTunnel);
}
