import { type Address, formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { errorMessage } from "../../core/error.ts";
import { refusesDatagrams } from "../../io/udp/udp-refusal.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok } from "./finding.ts";
import { showListeners } from "./look-commands.ts";

interface Target {
  readonly key: string;
  readonly address: Address;
  readonly remedy: string;
}

/** Whether somebody is there where datagrams are delivered: the server's WireGuard, the services of an agent. */
export const targetCheck: Check = {
  name: "target",
  doing: "knocking where datagrams go",
  run: ({ config }) => Promise.all(targetsOf(config).map(judge)),
};

function targetsOf({ roles, udp, services }: Config): Target[] {
  const { wg_udp_addr } = udp;
  const remedy = `sudo wg-quick up wg0, with ListenPort = ${wg_udp_addr.port} in wg0.conf`;
  const wireGuard = { key: "udp.wg_udp_addr", address: wg_udp_addr, remedy };
  const offered = services.udp.map(({ name, target: address }) => {
    const remedy = `start it, or correct its target: ${showListeners("udp", address.port)}`;
    return { key: `service ${name}`, address, remedy };
  });
  return [...(roles.includes("server") ? [wireGuard] : []), ...(roles.includes("agent") ? offered : [])];
}

async function judge({ key, address, remedy }: Target): Promise<Finding> {
  const where = `UDP ${formatAddress(address)} (${key})`;
  try {
    if (await refusesDatagrams(address.host, address.port))
      return failed("nobody-listens", `nobody listens at ${where}`, remedy);
    return ok(`${where} takes datagrams`);
  } catch (error) {
    return failed("no-such-target", `${where}: ${errorMessage(error)}`, `correct ${key}`);
  }
}
