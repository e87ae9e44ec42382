import { readFileSync } from "node:fs";
import { localAddressTowards, ownAddresses } from "./interfaces.ts";
import { pollChanges } from "./poll-changes.ts";
import { type DefaultRoute, parseNetstat, parseProcNetRoute } from "./route-table.ts";

/** Where packets for the internet go: the box that may map a port. */
export interface DefaultGateway {
  /** IPv4. */
  readonly address: string;
  readonly interfaceName: string;
  /** This host's own address towards it. */
  readonly localAddress: string;
}

/** How often a change of network is looked for: it is told within two of these, and a look costs one small file. */
export const WATCH_MS = 5_000;

/** The port of PCP and NAT-PMP: any would do, nothing is sent to it. */
const ANY_PORT = 5351;

/**
 * This host's IPv4 default gateway, the preferred one of several; undefined when there is none, or on a system that is
 * neither Linux nor macOS. Only the main routing table is looked at: what a VPN puts in front of it with rules of its
 * own is no network that a home router maps ports for.
 */
export async function defaultGateway(): Promise<DefaultGateway | undefined> {
  for (const { gateway: address, interfaceName } of await defaultRoutes()) {
    const localAddress = await localAddressOn(interfaceName, address);
    if (localAddress !== undefined) return { address, interfaceName, localAddress };
  }
  return undefined;
}

/** Tells of another default gateway, or own address towards it, within two times `intervalMs`, until disposed of. */
export function watchDefaultGateway(
  known: DefaultGateway | undefined,
  onChange: (gateway: DefaultGateway | undefined) => void,
  intervalMs = WATCH_MS,
): Disposable {
  return pollChanges(defaultGateway, known, onChange, intervalMs);
}

/** None where the system cannot be asked: a machine without a network has no file to read, either. */
async function defaultRoutes(): Promise<DefaultRoute[]> {
  try {
    // No disk is behind it; an asynchronous read would wait in the thread pool behind names that are not found.
    if (process.platform === "linux") return parseProcNetRoute(readFileSync("/proc/net/route", "latin1"));
    if (process.platform === "darwin") return parseNetstat(await Bun.$`/usr/sbin/netstat -rn -f inet`.quiet().text());
  } catch {}
  return [];
}

/** The route decides; where a VPN's rules lead elsewhere, the address on the gateway's own interface. */
async function localAddressOn(interfaceName: string, gateway: string): Promise<string | undefined> {
  const own = ownAddresses().filter((one) => one.interfaceName === interfaceName && !one.address.includes(":"));
  const routed = await localAddressTowards({ address: gateway, port: ANY_PORT });
  return (own.find(({ address }) => address === routed) ?? own[0])?.address;
}
