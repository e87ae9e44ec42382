import { writeFileSync } from "node:fs";
import type { Machine } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { Instant } from "../../src/core/time.ts";
import { now } from "../../src/io/clock.ts";
import { drive } from "../../src/io/drive.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { NATS, type NatName, type NatSpec } from "../contract/nat-spec.ts";
import {
  ADDRESSES,
  type Bind,
  type EventOf,
  type HostName,
  type MapSpec,
  type Running,
  type World,
} from "../contract/world.ts";
import { inside, openInside } from "./inside.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { natRules } from "./nat-rules.ts";
import { layOut, type NatPlace, type NatTopology, type Place, type Router } from "./nat-topology.ts";

export interface NatWorldOptions {
  /** First three numbers of the homes' public addresses; miniupnpd wants them neither private nor documentation. */
  readonly wanPrefix?: string;
}

type Counts<Name extends string> = Readonly<Record<Name, number>>;

/** How often `until` looks: the finest that a timer gives. */
const LOOK_MS = 1;

const DEFAULT_WAN_PREFIX = "198.51.100";

/** Never between the homes' routers and the internet, whatever a NAT does wrong (RFC 1918, RFC 6598). */
const NOT_PUBLIC = "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }";

const INTERNET_RULES = `
  table ip internet {
    counter passed { }
    counter lost { }
    counter leaked { }
    chain loss { type filter hook forward priority -10; }
    chain forward {
      type filter hook forward priority filter;
      ip saddr ${NOT_PUBLIC} counter name leaked drop
      ip daddr ${NOT_PUBLIC} counter name leaked drop
      meta l4proto udp counter name passed
    }
  }`;

const POWER_CUT = `
  table ip power_cut {
    chain prerouting { type filter hook prerouting priority raw; policy drop; }
  }`;

let worlds = 0;

/**
 * The map of test/contract/world.ts on Linux: a network namespace for each host and router, NATs made of nftables, and
 * machines of `core/` in this process on real sockets inside of them. Several worlds stand side by side, in one lab or
 * in many. Its namespaces live as long as the lab; disposal only closes the sockets that it opened.
 */
export async function openNatWorld(lab: Lab, map: MapSpec, options: NatWorldOptions = {}): Promise<NatWorld> {
  worlds += 1;
  const wanPrefix = options.wanPrefix ?? DEFAULT_WAN_PREFIX;
  const world = new NatWorld(await layOut(lab, `nat${worlds}`, map, wanPrefix), wanPrefix);
  const { a, b, carrier } = map;
  await Promise.all([
    world.namespaceOf("internet").nft(INTERNET_RULES),
    world.setNat("a", a),
    b === undefined ? undefined : world.setNat("b", b),
    carrier === undefined ? undefined : world.setNat("carrier", carrier),
  ]);
  return world;
}

export class NatWorld implements World {
  readonly kind = "lab";
  /** Those of the map, under the public prefix of this world. */
  readonly addresses: Readonly<Record<keyof typeof ADDRESSES, string>>;
  readonly #topology: NatTopology;
  readonly #running = new Set<Disposable>();

  constructor(topology: NatTopology, wanPrefix: string) {
    this.#topology = topology;
    const under = (address: string) => address.replace(DEFAULT_WAN_PREFIX, wanPrefix);
    const { natA, natB, carrier } = ADDRESSES;
    this.addresses = { ...ADDRESSES, natA: under(natA), natB: under(natB), carrier: under(carrier) };
  }

  now(): Instant {
    return now();
  }

  async start<M extends Machine<unknown>>(
    host: HostName,
    binds: readonly Bind[],
    make: (local: readonly Endpoint[], now: Instant) => M,
  ): Promise<Running<M>> {
    using opening = new DisposableStack();
    const fan = opening.use(await openInside(this.namespaceOf(host), () => openFan(binds)));
    const machine = make(fan.local, now());
    const events: EventOf<M>[] = [];
    const driven = opening.use(drive(machine, fan, (event) => events.push(event as EventOf<M>)));
    const open = opening.move();
    this.#running.add(open);
    return {
      machine,
      local: fan.local,
      events,
      poke: () => driven.poke(),
      stop: () => {
        this.#running.delete(open);
        open.dispose();
      },
    };
  }

  async until(done: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = now() + limitMs;
    while (!done()) {
      if (now() > deadline) return false;
      await Bun.sleep(LOOK_MS);
    }
    return true;
  }

  /** Where programs of a host or router are run, and files below /proc/sys/net are its own. */
  namespaceOf(place: Place): Namespace {
    const namespace = this.#topology.namespaces.get(place);
    if (namespace === undefined) throw new Error(`There is no ${place} on this map`);
    return namespace;
  }

  /** Makes a router behave otherwise from now on; it forgets every mapping, as after a power cut. */
  async setNat(place: NatPlace, nat: NatName | NatSpec): Promise<void> {
    const spec = typeof nat === "string" ? NATS[nat] : nat;
    const site = this.#topology.sites.get(place);
    if (site === undefined) throw new Error(`There is no NAT ${place} on this map`);
    const router = this.namespaceOf(place);
    // Nothing passes meanwhile: a flow that goes on would write its mapping into the new rules' maps.
    await router.nft(POWER_CUT);
    await router.nft(natRules(spec, site));
    inside(router, () => {
      for (const timeout of ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"])
        writeFileSync(`/proc/sys/net/netfilter/${timeout}`, `${spec.lifetimeSeconds}`);
    });
    await router.run(["conntrack", "-F"]);
    await router.nft("delete table ip power_cut");
  }

  /** Loses a share of all packets that cross the internet, 0 to 100, one by one and at random. */
  async setLoss(percent: number): Promise<void> {
    const rule = `add rule ip internet loss numgen random mod 10000 < ${Math.round(percent * 100)} counter name lost drop`;
    await this.namespaceOf("internet").nft(`flush chain ip internet loss\n${percent > 0 ? rule : ""}`);
  }

  /** UDP packets that a NAT let pass so far. */
  async translated(place: NatPlace): Promise<Counts<"outward" | "inward">> {
    return await this.#counters(place);
  }

  /** Packets that crossed the internet so far, UDP only; that `setLoss` took; that carried a private address. */
  async crossed(): Promise<Counts<"passed" | "lost" | "leaked">> {
    return await this.#counters("internet");
  }

  /** UDP flows that a router's connection tracking holds now. */
  async flows(router: NatPlace): Promise<number> {
    const list = await this.namespaceOf(router).run(["conntrack", "-L", "-p", "udp"]);
    return list.split("\n").filter((line) => line.startsWith("udp")).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) running[Symbol.dispose]();
    this.#running.clear();
  }

  async #counters<Name extends string>(router: Router): Promise<Counts<Name>> {
    const json = await this.namespaceOf(router).run(["nft", "-j", "list", "counters"]);
    const { nftables } = JSON.parse(json) as { nftables: { counter?: { name: Name; packets: number } }[] };
    const counts = nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : []));
    return Object.fromEntries(counts) as Counts<Name>;
  }
}
