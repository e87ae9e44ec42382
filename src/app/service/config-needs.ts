import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";

/** Ports below this one need CAP_NET_BIND_SERVICE (`net.ipv4.ip_unprivileged_port_start` as Linux has it). */
const FIRST_FREE_PORT = 1024;

/** Whether a node of this config listens where only privileged programs may. */
export function needsLowPort(config: Config): boolean {
  return listenPorts(config).some((port) => port > 0 && port < FIRST_FREE_PORT);
}

/** Whether SIGHUP makes a node of this config read its file again; any other would end. */
export function rereadsConfig({ roles, nat }: Config): boolean {
  return nat.watch || roles.some(isPeerRole);
}

function listenPorts(config: Config): number[] {
  const { roles, metrics, tcp, server, udp, relay, p2p } = config;
  const addresses = [
    metrics.listen_addr,
    ...(roles.includes("server") ? [tcp.listen_addr, ...server.stun.listen] : []),
    ...(roles.includes("client") ? [udp.listen_addr] : []),
    ...(roles.includes("relay") ? relay.map(({ listen_addr }) => listen_addr) : []),
    ...(rereadsConfig(config) ? p2p.listen_addr : []),
  ];
  return addresses.map(({ port }) => port);
}
