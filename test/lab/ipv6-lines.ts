import type { Namespace } from "./namespace.ts";
import type { NatWorld } from "./nat-world.ts";
import { SERVER_V6 } from "./peers.ts";

const SITES = ["a", "b"] as const;

/** Lets out what the home begins and in what answers it: what home routers do by default (RFC 6092). */
const FIREWALL = `
  table ip6 firewall {
    chain forward {
      type filter hook forward priority filter; policy drop;
      ct state established,related accept
      iifname "lan" accept
    }
  }`;

const CUT = `
  table ip6 cut {
    chain forward { type filter hook forward priority -5; policy drop; }
  }`;

/**
 * Global IPv6 beside the IPv4 of a `NatWorld`, which stays as it is.
 *
 *   a1 2001:db8:a1::11 ── router a, firewall ── internet ── router b, firewall ── 2001:db8:b1::11 b1
 *                                                  │
 *                                      stun 2001:db8:5::10
 */
export class Ipv6Lines {
  readonly addresses = { a1: hostOf("a"), b1: hostOf("b") };
  readonly #world: NatWorld;
  readonly #internet: Namespace;

  private constructor(world: NatWorld) {
    this.#world = world;
    this.#internet = world.namespaceOf("internet");
  }

  static async open(world: NatWorld): Promise<Ipv6Lines> {
    const internet = world.namespaceOf("internet");
    await internet.sysctl({ "net.ipv6.conf.all.forwarding": 1 });
    await internet.ip(["addr add 2001:db8:5::1/64 dev lan"]);
    await world.namespaceOf("stun").ip([`addr add ${SERVER_V6}/64 dev eth0`, "route add ::/0 via 2001:db8:5::1"]);
    for (const site of SITES) {
      const router = world.namespaceOf(site);
      await router.sysctl({ "net.ipv6.conf.all.forwarding": 1 });
      await internet.ip([`addr add 2001:db8:${site}::1/64 dev line-${site}`]);
      await router.ip([
        `addr add 2001:db8:${site}::2/64 dev wan`,
        `addr add 2001:db8:${site}1::1/64 dev lan`,
        `route add ::/0 via 2001:db8:${site}::1`,
      ]);
      await internet.ip([`route add 2001:db8:${site}1::/64 via 2001:db8:${site}::2`]);
      await world
        .namespaceOf(`${site}1`)
        .ip([`addr add ${hostOf(site)}/64 dev eth0`, `route add ::/0 via 2001:db8:${site}1::1`]);
      await router.nft(FIREWALL);
    }
    return new Ipv6Lines(world);
  }

  /** The homes have no IPv4 at all. */
  async alone(): Promise<void> {
    for (const host of ["a1", "b1"] as const)
      await this.#world.namespaceOf(host).run(["ip", "-4", "addr", "flush", "eth0"]);
  }

  /** Nothing passes between the homes any more, and nobody is told. */
  async cut(): Promise<void> {
    await this.#internet.nft(CUT);
  }

  async restore(): Promise<void> {
    await this.#internet.nft("delete table ip6 cut");
  }
}

function hostOf(site: (typeof SITES)[number]): string {
  return `2001:db8:${site}1::11`;
}
