import { lookup } from "node:dns/promises";
import { formatAddress } from "../../config/address.ts";
import { canonicalIp, ipScope } from "../../core/net/ip.ts";
import type { Check } from "./check.ts";
import { ok, warning } from "./finding.ts";

/** Who can reach the status address, which asks nobody for a password. */
export const exposureCheck: Check = {
  name: "status",
  doing: "looking at the status address",
  async run({ config }) {
    const { listen_addr } = config.metrics;
    const where = `http://${formatAddress(listen_addr)}`;
    if (await isLoopback(listen_addr.host)) return [ok(`${where} is for this machine only`)];
    return [
      warning(
        "status-exposed",
        `${where} is open to every machine that reaches this one, without a password`,
        `metrics: { listen_addr: "127.0.0.1:${listen_addr.port}" }`,
        "or let a firewall admit nobody but Prometheus",
      ),
    ];
  },
};

async function isLoopback(host: string): Promise<boolean> {
  const literal = canonicalIp(host);
  if (literal !== undefined) return ipScope(literal) === "loopback";
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.length > 0 && found.every(({ address }) => ipScope(address) === "loopback");
}
