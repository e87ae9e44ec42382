import type { Machine } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { Instant } from "../../src/core/time.ts";
import { NATS, type NatName, type NatSpec } from "../contract/nat-spec.ts";
import { ADDRESSES, type Bind, type HostName, type MapSpec, type Running, type World } from "../contract/world.ts";
import { Host } from "./host.ts";
import { Link, type LinkQuality, LOCAL_LINK } from "./link.ts";
import { Nat } from "./nat.ts";
import { Net, type NetCounters } from "./net.ts";
import { type Address, addressOf, type Node } from "./packet.ts";
import { InternetRouter, Lan } from "./router.ts";

export interface SimOptions extends Partial<LinkQuality> {
  /** Same seed, same run: print it when a test fails. */
  readonly seed: number;
  /** Gets one line for each hop of each datagram. With `UT_SIM_TRACE=1` they are printed. */
  readonly onHop?: (line: string) => void;
}

/** A map whose NATs may also be ones that `NATS` has no name for. */
export type SimMap = {
  readonly [Key in keyof MapSpec]: NatName extends MapSpec[Key] ? MapSpec[Key] | NatSpec : MapSpec[Key];
};

/** Addresses of the homes' routers when they stand behind a carrier. */
const BEHIND_CARRIER = { a: "100.64.0.2", b: "100.64.0.3" } as const;
const DEFAULT_DELAY_MS = 10;

/**
 * The map of `contract/world.ts` in memory. Time is virtual and passes only in `until`, which takes no real time; all
 * chance comes from the seed, so the same seed gives the same run, hop for hop.
 *
 *     await using world = openSimWorld({ a: "port-restricted", b: "symmetric" }, { seed, loss: 0.02 });
 *     const server = await world.start("stun", [{ port: 3478 }], (local) => new StunServer(…));
 *     const client = await world.start("a1", [{ port: 5_000 }], (local, now) => new Classifier({ now, … }));
 *     expect(await world.until(() => client.events.length > 0, 5_000)).toBe(true);
 *     expect(client.events).toEqual([…]);
 *     expect(world.nat("a").table.peakFlows).toBeLessThan(64);
 *
 * `delayMs` (10), `loss`, `duplication` and `reordering` are what a datagram meets once, on its way from the internet's
 * router to a public host or a NAT: two public hosts are 20 ms apart and back, the same as two homes. Inside homes it is
 * 0.1 ms and nothing gets lost. A datagram needs TTL 2 to leave its home, 3 to reach the far NAT, 4 to reach a host
 * behind it, and one more for each carrier's NAT on its way.
 *
 * More hosts on the internet than the map has: `world.addPublicHost("dead", ["203.0.113.66"])`, then `start("dead", …)`.
 */
export function openSimWorld(map: SimMap, options: SimOptions): SimWorld {
  return new SimWorld(map, options);
}

/** Built by `openSimWorld`. */
export class SimWorld implements World {
  readonly kind = "sim";
  readonly seed: number;
  readonly #net: Net;
  readonly #quality: LinkQuality;
  readonly #hosts = new Map<string, Host>();
  readonly #nats = new Map<string, Nat>();
  readonly #publicLan: Lan;
  readonly #internet: InternetRouter;

  constructor(map: SimMap, options: SimOptions) {
    const { seed, delayMs = DEFAULT_DELAY_MS, loss = 0, duplication = 0, reordering = 0 } = options;
    this.seed = seed;
    this.#net = new Net(seed, options.onHop ?? (process.env.UT_SIM_TRACE === "1" ? console.log : undefined));
    this.#quality = { delayMs, loss, duplication, reordering };
    this.#publicLan = new Lan(this.#net, "public network");
    this.#internet = new InternetRouter(this.#net, this.#publicLan);
    this.#publicLan.gateway = this.#internet;
    this.addPublicHost("stun", [ADDRESSES.stun, ADDRESSES.stunSecond]);
    this.addPublicHost("peer", [ADDRESSES.peer]);
    this.#addHomes(map);
  }

  get counters(): NetCounters {
    return this.#net.counters;
  }

  /** What a NAT of the map holds. */
  nat(name: "a" | "b" | "carrier"): Nat {
    const nat = this.#nats.get(name);
    if (nat === undefined) throw new Error(`This map has no nat ${name}`);
    return nat;
  }

  /** A host on the internet beyond those of the map. */
  addPublicHost(name: string, addresses: readonly string[]): void {
    this.#addHost(name, this.#publicLan, addresses, this.#quality);
  }

  now(): Instant {
    return this.#net.now;
  }

  async start<M extends Machine<unknown>>(
    host: HostName | (string & {}),
    binds: readonly Bind[],
    make: (local: readonly Endpoint[], now: Instant) => M,
  ): Promise<Running<M>> {
    return this.startNow(host, binds, make);
  }

  /** As `start`, while the world goes on: for machines that are started by others. */
  startNow<M extends Machine<unknown>>(
    host: HostName | (string & {}),
    binds: readonly Bind[],
    make: (local: readonly Endpoint[], now: Instant) => M,
  ): Running<M> {
    const found = this.#hosts.get(host);
    if (found === undefined) throw new Error(`This map has no host ${host}`);
    return found.run(binds, make);
  }

  async until(done: () => boolean, limitMs: number): Promise<boolean> {
    const { queue } = this.#net;
    const limit = this.#net.now + limitMs;
    while (!done()) {
      if (queue.nextAt > limit) {
        this.#net.now = limit;
        return false;
      }
      this.#net.now = queue.nextAt;
      queue.pop()?.fire();
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #addHomes({ a, b, carrier, bothBehindCarrier = false }: SimMap): void {
    const carrierLan = new Lan(this.#net, "carrier network");
    if (carrier !== undefined)
      carrierLan.gateway = this.#addNat("carrier", carrier, ADDRESSES.carrier, carrierLan, this.#internet).inner;
    const homes = [
      { name: "a", nat: a, inFront: carrier !== undefined, outside: ADDRESSES.natA, hosts: ["a1", "a2"] },
      {
        name: "b",
        nat: b,
        inFront: carrier !== undefined && bothBehindCarrier,
        outside: ADDRESSES.natB,
        hosts: ["b1"],
      },
    ] as const;
    for (const { name, nat, inFront, outside, hosts } of homes) {
      if (nat === undefined) continue;
      const lan = new Lan(this.#net, `home ${name}`);
      const address = inFront ? BEHIND_CARRIER[name] : outside;
      const built = this.#addNat(name, nat, address, lan, inFront ? carrierLan : this.#internet);
      lan.gateway = built.inner;
      if (inFront) carrierLan.join(addressOf(address), built.outer);
      for (const host of hosts) this.#addHost(host, lan, [ADDRESSES[host]], LOCAL_LINK);
    }
  }

  /** A NAT whose outside is the internet gets a route and a link there. */
  #addNat(name: string, nat: NatName | NatSpec, address: string, inside: Lan, upstream: Node): Nat {
    const spec = typeof nat === "string" ? NATS[nat] : nat;
    const outside: Address = addressOf(address);
    const built = new Nat(this.#net, `nat ${name}`, spec, { outside, inside, upstream });
    if (upstream === this.#internet)
      this.#internet.route(outside, new Link(this.#net, `link to nat ${name}`, built.outer, this.#quality));
    this.#nats.set(name, built);
    return built;
  }

  #addHost(name: string, lan: Lan, addresses: readonly string[], quality: LinkQuality): void {
    const linkTo = (to: Node, linkQuality: LinkQuality) => new Link(this.#net, `link to ${name}`, to, linkQuality);
    const numbers = addresses.map(addressOf);
    const host = new Host(this.#net, name, numbers, lan, (self) => linkTo(self, LOCAL_LINK));
    for (const address of numbers) lan.join(address, linkTo(host, quality));
    this.#hosts.set(name, host);
  }
}
