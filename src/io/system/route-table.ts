import { endianness } from "node:os";
import { canonicalIp, formatIp } from "../../core/net/ip.ts";

/** A way out of this machine's networks. */
export interface DefaultRoute {
  /** The next hop, an IPv4 address. */
  readonly gateway: string;
  readonly interfaceName: string;
}

const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;

/**
 * The default routes in Linux's /proc/net/route, the one that the kernel takes first in front. Routes without a next
 * hop (tunnels) are left out: nobody is there to map a port.
 */
export function parseProcNetRoute(text: string, byteOrder: "LE" | "BE" = endianness()): DefaultRoute[] {
  const routes = text.split("\n").flatMap((line) => {
    const [interfaceName = "", destination, gateway = "", flags = "", , , metric, mask] = line.trim().split(/\s+/);
    const set = Number.parseInt(flags, 16);
    const isDefault = destination === "00000000" && mask === "00000000";
    if (!isDefault || (set & (RTF_UP | RTF_GATEWAY | RTF_REJECT)) !== (RTF_UP | RTF_GATEWAY)) return [];
    if (!/^[0-9a-f]{8}$/i.test(gateway)) return [];
    return [{ gateway: rawAddress(gateway, byteOrder), interfaceName, metric: Number(metric) }];
  });
  // A lower metric goes first; of equal ones the kernel takes the first.
  routes.sort((a, b) => a.metric - b.metric);
  return routes.map(({ gateway, interfaceName }) => ({ gateway, interfaceName }));
}

/**
 * The default routes that macOS' `netstat -rn -f inet` lists, the primary one in front: those bound to one interface
 * (flag I) serve only who asks for that interface.
 */
export function parseNetstat(text: string): DefaultRoute[] {
  const routes = text.split("\n").flatMap((line) => {
    const [destination, via = "", flags = "", interfaceName = ""] = line.trim().split(/\s+/);
    const gateway = canonicalIp(via);
    if (destination !== "default" || gateway === undefined || !flags.includes("G")) return [];
    return [{ gateway, interfaceName, isScoped: flags.includes("I") }];
  });
  routes.sort((a, b) => Number(a.isScoped) - Number(b.isScoped));
  return routes.map(({ gateway, interfaceName }) => ({ gateway, interfaceName }));
}

/** The kernel prints the four bytes as one number of this machine. */
function rawAddress(hex: string, byteOrder: "LE" | "BE"): string {
  const bytes = Uint8Array.fromHex(hex);
  return formatIp(byteOrder === "LE" ? bytes.reverse() : bytes);
}
