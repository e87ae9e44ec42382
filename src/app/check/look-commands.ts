import type { PortProtocol } from "../../io/system/free-port.ts";

/** Commands of this system by which a user sees for himself. */
const isMac = process.platform === "darwin";

export const SHOW_ADDRESSES = isMac ? "ifconfig" : "ip -brief address";
export const SHOW_ROUTES = isMac ? "netstat -rn" : "ip route";
export const RESOLVE = isMac ? "dscacheutil -q host -a name" : "getent ahosts";

/** Who listens on a port. */
export function showListeners(protocol: PortProtocol, port: number): string {
  if (isMac) return `sudo lsof -nP -i${protocol.toUpperCase()}:${port}`;
  return `sudo ss -${protocol === "tcp" ? "lt" : "lu"}np 'sport = :${port}'`;
}
