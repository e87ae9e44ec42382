import { readFileSync } from "node:fs";
import { type Endpoint, parseEndpoint } from "../../core/net/endpoint.ts";
import { outputOf } from "./output-of.ts";

/** A WireGuard interface of this machine, without any of its keys. */
export interface WireGuardInterface {
  readonly name: string;
  readonly listenPort: number | undefined;
  /** Where its peers are, as far as it knows. */
  readonly endpoints: readonly Endpoint[];
  /** Bytes of a packet inside; undefined where the system does not tell. */
  readonly mtu: number | undefined;
}

/** Those that are up; undefined where they cannot be asked: no `wg`, or not root. */
export async function wireGuardInterfaces(): Promise<WireGuardInterface[] | undefined> {
  const [ports, endpoints] = await Promise.all([
    outputOf(["wg", "show", "all", "listen-port"]),
    outputOf(["wg", "show", "all", "endpoints"]),
  ]);
  if (ports === undefined || endpoints === undefined) return undefined;
  const peers = rows(endpoints).map(([name, , endpoint = ""]) => ({ name, endpoint: parseEndpoint(endpoint) }));
  const interfaces = rows(ports).map(([name = "", port]) => ({
    name,
    listenPort: Number(port) || undefined,
    endpoints: peers.flatMap((peer) => (peer.name === name && peer.endpoint !== undefined ? [peer.endpoint] : [])),
    mtu: mtuOf(name),
  }));
  // wireguard-go keeps its sockets in one place: some may be of other network namespaces.
  return interfaces.filter(({ mtu }) => mtu !== undefined || process.platform !== "linux");
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));
}

/** Linux. */
function mtuOf(name: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}
