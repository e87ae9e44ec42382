import { type Address, formatAddress } from "../../config/address.ts";
import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";
import { type BindProblem, type PortProtocol, tryBind } from "../../io/free-port.ts";
import { portHolder } from "../../io/port-holder.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok } from "./finding.ts";
import type { Scene } from "./scene.ts";

/** A port that the node will bind. */
interface WantedPort {
  readonly key: string;
  readonly protocol: PortProtocol;
  readonly address: Address;
}

/** Whether the node can have the ports that its roles listen on. */
export const portsCheck: Check = {
  name: "port",
  doing: "trying the ports",
  run: (scene) => Promise.all(wantedPorts(scene.config).map((wanted) => judge(wanted, scene))),
};

/** In the order of the config; port 0 takes any that is free. */
function wantedPorts(config: Config): WantedPort[] {
  const { roles, tcp, udp, metrics, server, relay, p2p, nat } = config;
  const wanted: WantedPort[] = [];
  const want = (key: string, protocol: PortProtocol, address: Address) => wanted.push({ key, protocol, address });
  if (roles.includes("server")) want("tcp.listen_addr", "tcp", tcp.listen_addr);
  if (roles.includes("client")) want("udp.listen_addr", "udp", udp.listen_addr);
  want("metrics.listen_addr", "tcp", metrics.listen_addr);
  if (roles.includes("server"))
    for (const [index, address] of server.stun.listen.entries()) want(`server.stun.listen[${index}]`, "udp", address);
  if (roles.includes("relay"))
    for (const [index, { listen_addr }] of relay.entries()) want(`relay[${index}].listen_addr`, "udp", listen_addr);
  if (roles.some(isPeerRole) || nat.watch)
    for (const address of p2p.listen_addr) want("p2p.listen_addr", "udp", address);
  return wanted.filter(({ address }) => address.port !== 0);
}

async function judge({ key, protocol, address }: WantedPort, scene: Scene): Promise<Finding> {
  const { host, port } = address;
  const where = `${protocol.toUpperCase()} ${formatAddress(address)} (${key})`;
  const problem = await tryBind(protocol, host, port);
  if (problem === undefined) return ok(`${where} is free`);
  if (problem.code !== "EADDRINUSE") return refusal(where, key, port, problem);
  const holder = portHolder(protocol, port);
  const node = await scene.node;
  if (node !== undefined && (holder === undefined ? node.ports.has(port) : holder.pid === node.pid))
    return ok(`${where} is held by the node itself, which runs (pid ${node.pid})`);
  const who = holder === undefined ? "another program" : `${holder.name} (pid ${holder.pid})`;
  const look = protocol === "tcp" ? "ss -ltnp" : "ss -lunp";
  const find = holder === undefined ? [`sudo ${look} 'sport = :${port}'`] : [`ps -p ${holder.pid} -o args`];
  return failed("port-taken", `${where} is held by ${who}`, ...find, `or set ${key} to another port`);
}

function refusal(where: string, key: string, port: number, { code, message }: BindProblem): Finding {
  switch (code) {
    case "EADDRNOTAVAIL":
      return failed("no-such-address", `${where}: this machine has no such address`, "ip -brief address");
    case "EACCES":
      return failed(
        "port-not-allowed",
        `${where}: this user may not have a port below 1024`,
        "sudo setcap cap_net_bind_service=+ep $(readlink -f $(which ut))",
        `or set ${key} to a port above 1023, not ${port}`,
      );
    default:
      return failed("port-refused", `${where}: ${message}`, `set ${key}`);
  }
}
