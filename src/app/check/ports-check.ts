import { formatAddress } from "../../config/address.ts";
import { type BindProblem, tryBind } from "../../io/system/free-port.ts";
import { portHolder } from "../../io/system/port-holder.ts";
import { type ListenPort, listenPorts } from "../listen-ports.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok } from "./finding.ts";
import { SHOW_ADDRESSES, showListeners } from "./look-commands.ts";
import type { Scene } from "./scene.ts";

/** Whether the node can have the ports that its roles listen on. */
export const portsCheck: Check = {
  name: "port",
  doing: "trying the ports",
  async run(scene) {
    const findings: Finding[] = [];
    // One after the other: a port of every interface is in the way of the same one of IPv6 only.
    for (const wanted of listenPorts(scene.config)) findings.push(await judge(wanted, scene));
    return findings;
  },
};

async function judge({ key, protocol, address }: ListenPort, scene: Scene): Promise<Finding> {
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
  const look = holder === undefined ? showListeners(protocol, port) : `ps -p ${holder.pid} -o args`;
  return failed("port-taken", `${where} is held by ${who}`, look, `or set ${key} to another port`);
}

function refusal(where: string, key: string, port: number, { code, message }: BindProblem): Finding {
  switch (code) {
    case "EADDRNOTAVAIL":
      return failed("no-such-address", `${where}: this machine has no such address`, SHOW_ADDRESSES);
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
