import { ipFamily } from "../../core/net/ip.ts";
import { localAddressTowards, ownAddresses } from "./interfaces.ts";
import { outputOf } from "./output-of.ts";

/**
 * The interface by which packets of this process to an IP address leave, as routes and rules are now; undefined without
 * a route. The system is asked by its own tool, which knows rules (wg-quick's among them), and else by a connected
 * socket, which tells the own address and with it, usually, the interface.
 */
export async function interfaceTowards(address: string): Promise<string | undefined> {
  const told = process.platform === "darwin" ? await askRoute(address) : await askIp(address);
  if (told !== undefined) return told;
  const local = await localAddressTowards({ address, port: 1 });
  return ownAddresses(["loopback", "private", "shared", "public"]).find((own) => own.address === local)?.interfaceName;
}

/** `203.0.113.7 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0`, of iproute2 and of BusyBox. */
async function askIp(address: string): Promise<string | undefined> {
  const text = await outputOf(["ip", "route", "get", address]);
  return text?.match(/ dev (\S+)/)?.[1];
}

/** A line `interface: utun4` among others. */
async function askRoute(address: string): Promise<string | undefined> {
  const family = ipFamily(address) === 6 ? ["-inet6"] : [];
  const text = await outputOf(["/sbin/route", "-n", "get", ...family, address]);
  return text?.match(/^\s*interface: (\S+)/m)?.[1];
}
