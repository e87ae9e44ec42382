import type { Address } from "../config/address.ts";
import { isPeerRole } from "../config/roles.ts";
import type { Config } from "../config/schema.ts";

/** A port that a node of a config binds. */
export interface ListenPort {
  /** Where the config says so. */
  readonly key: string;
  readonly protocol: "tcp" | "udp";
  readonly address: Address;
}

/** Those of its roles and of what they share, without the ones that take any free port. */
export function listenPorts(config: Config): ListenPort[] {
  const { roles, tcp, udp, metrics, server, relay, socks, p2p, nat } = config;
  const ports: ListenPort[] = [];
  const add = (key: string, protocol: ListenPort["protocol"], address: Address) =>
    ports.push({ key, protocol, address });
  if (roles.includes("server")) add("tcp.listen_addr", "tcp", tcp.listen_addr);
  if (roles.includes("client")) add("udp.listen_addr", "udp", udp.listen_addr);
  add("metrics.listen_addr", "tcp", metrics.listen_addr);
  if (roles.includes("server"))
    for (const [index, address] of server.stun.listen.entries()) add(`server.stun.listen[${index}]`, "udp", address);
  if (roles.includes("relay"))
    for (const [index, { listen_addr }] of relay.entries()) add(`relay[${index}].listen_addr`, "udp", listen_addr);
  if (roles.includes("socks")) add("socks.listen_addr", "tcp", socks.listen_addr);
  if (roles.some(isPeerRole) || nat.watch)
    for (const address of p2p.listen_addr) add("p2p.listen_addr", "udp", address);
  return ports.filter(({ address }) => address.port !== 0);
}
