import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

/** Addresses of a `HomeRouter`. No documentation range outside: miniupnpd maps nothing unless its address is public. */
export const HOME = {
  outside: "11.51.100.20",
  wan: "11.51.100.2",
  gateway: "10.1.0.1",
  inside: "10.1.0.11",
  second: "10.1.0.12",
} as const;

const PREFIX = 24;

/**
 * One home and one host outside of it.
 *
 *   outside 11.51.100.20 ── wan 11.51.100.2 router lan 10.1.0.1 ──┬── inside 10.1.0.11
 *                                                                 └── second 10.1.0.12
 *
 * The router masquerades and lets nothing in that nobody asked for; a port-mapping daemon runs on it where a test
 * starts one (`Miniupnpd`).
 */
export interface HomeRouter {
  readonly outside: Namespace;
  readonly router: Namespace;
  readonly inside: Namespace;
  readonly second: Namespace;
  /** Gives the router another address outside, as a provider does over night; undefined takes it away. */
  renumber(wan: string | undefined): Promise<void>;
}

export async function homeRouter(lab: Lab): Promise<HomeRouter> {
  const outside = await lab.namespace("outside");
  const router = await lab.namespace("router", { "net.ipv4.ip_forward": 1 });
  const hosts = { inside: await lab.namespace("inside"), second: await lab.namespace("second") };
  await lab.cable(
    { host: router, device: "wan", address: `${HOME.wan}/${PREFIX}` },
    { host: outside, device: "eth0", address: `${HOME.outside}/${PREFIX}` },
  );
  // A bridge that snoops would keep SSDP from those who have not joined its group yet.
  await router.ip(["link add lan type bridge mcast_snooping 0", `addr add ${HOME.gateway}/${PREFIX} dev lan`]);
  for (const [name, host] of Object.entries(hosts)) {
    await router.ip([`link add ${name} type veth peer name eth0 netns ${host.name}`, `link set ${name} master lan up`]);
    const address = HOME[name as keyof typeof hosts];
    await host.ip([`addr add ${address}/${PREFIX} dev eth0`, "link set eth0 up"]);
  }
  await router.ip(["link set lan up"]);
  for (const host of Object.values(hosts)) await host.ip([`route add default via ${HOME.gateway}`]);
  await router.nft(FIREWALL);
  return {
    outside,
    router,
    ...hosts,
    async renumber(wan) {
      await router.ip(["addr flush dev wan", ...(wan === undefined ? [] : [`addr add ${wan}/${PREFIX} dev wan`])]);
    },
  };
}

const FIREWALL = `
  table ip home {
    chain out { type nat hook postrouting priority 100; oifname "wan" masquerade; }
    chain forw {
      type filter hook forward priority 0; policy drop;
      ct state established,related accept
      iifname "lan" accept
      ct status dnat accept
    }
    chain inp {
      type filter hook input priority 0;
      iifname "wan" ct state established,related accept
      iifname "wan" drop
    }
  }`;
