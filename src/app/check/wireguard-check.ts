import type { WireGuardInterface } from "../../io/system/wireguard.ts";
import type { Check } from "./check.ts";
import { type Finding, ok, skipped, warning } from "./finding.ts";
import { entryOf, tunnelEntries } from "./tunnel-entry.ts";

/** What is right everywhere over lanes (README), and what fits the direct path of a pipe (docs/p2p.md). */
const LANES_MTU = 1_420;
const PIPE_MTU = 1_380;
/** Larger packets come from nobody who is not on one of the two machines. */
const ETHERNET_MTU = 1_500;

/** Whether the WireGuard beside this node makes packets of a good size. */
export const wireGuardCheck: Check = {
  name: "wireguard",
  doing: "asking WireGuard",
  async run(scene) {
    const { config } = scene;
    const entries = tunnelEntries(config);
    const port = config.roles.includes("server") ? config.udp.wg_udp_addr.port : undefined;
    if (entries.length === 0 && port === undefined) return [];
    const interfaces = await scene.wireGuards;
    if (interfaces === undefined) return [skipped('because "wg show" needs root, or is not there')];
    return interfaces.flatMap((one) => {
      const entry = entryOf(entries, one)?.entry;
      if (entry !== undefined) return [judgeMtu(one, entry.isPipe)];
      return one.listenPort !== undefined && one.listenPort === port ? [judgeMtu(one, false)] : [];
    });
  },
};

/** `isPipe`: it leads to a peer, maybe directly, and not to the server. */
export function judgeMtu({ name, mtu }: WireGuardInterface, isPipe: boolean): Finding {
  const best = isPipe ? PIPE_MTU : LANES_MTU;
  if (mtu === undefined) return skipped(`${name}: because this system does not tell its MTU`);
  const remedy = [`sudo ip link set dev ${name} mtu ${best}`, `in ${name}.conf at both ends: MTU = ${best}`] as const;
  if (mtu > ETHERNET_MTU)
    return warning(
      "mtu-too-large",
      `${name} has MTU ${mtu}: what hosts behind the other end send does not fit there`,
      ...remedy,
    );
  if (isPipe && mtu > PIPE_MTU)
    return warning("mtu-splits", `${name} has MTU ${mtu}: full packets go in two parts on a direct path`, ...remedy);
  if (mtu < PIPE_MTU)
    return warning(
      "mtu-small",
      `${name} has MTU ${mtu}: ${Math.round((best / mtu - 1) * 100)} % more packets than needed${mtu < 1_280 ? ", and no IPv6" : ""}`,
      ...remedy,
    );
  return ok(`${name} has MTU ${mtu}`);
}
