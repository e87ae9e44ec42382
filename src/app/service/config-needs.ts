import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";
import { listenPorts } from "../listen-ports.ts";

/** Ports below this one need CAP_NET_BIND_SERVICE (`net.ipv4.ip_unprivileged_port_start` as Linux has it). */
const FIRST_FREE_PORT = 1024;

/** Whether a node of this config listens where only privileged programs may. */
export function needsLowPort(config: Config): boolean {
  return listenPorts(config).some(({ address }) => address.port < FIRST_FREE_PORT);
}

/** Whether SIGHUP makes a node of this config read its file again; any other would end. */
export function rereadsConfig({ roles, nat }: Config): boolean {
  return nat.watch || roles.some(isPeerRole);
}
