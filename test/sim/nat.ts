import type { Dependence } from "../../src/core/nat/behaviour.ts";
import type { Instant } from "../../src/core/time.ts";
import type { NatSpec } from "../contract/nat-spec.ts";
import type { Net } from "./net.ts";
import { type Address, addressIn, type EndId, endId, type Node, type Packet, portIn } from "./packet.ts";
import type { Lan } from "./router.ts";

/** Where Linux looks for a port when it may not keep the inside one. */
const PORTS = { from: 1_024, to: 65_535 };
const PORT_TRIES = 100_000;
/** The scope of a mapping that is for every destination. */
const ANY_REMOTE = 0;
/** The scope of a port mapping: never a destination. */
const FORWARDED = -1;

/** One outside port of one inside socket. */
interface Mapping {
  readonly inside: EndId;
  readonly port: number;
  /** The destinations it is for (RFC 4787 §4.1): `ANY_REMOTE`, an address or an end; `FORWARDED`. */
  readonly scope: number;
  readonly flows: Map<EndId, Flow>;
}

/** Traffic of a mapping with one outside end, or of an outside end with the NAT's own address: a conntrack entry. */
interface Flow {
  readonly remote: EndId;
  /** Undefined for one that ended at the NAT itself. */
  readonly mapping: Mapping | undefined;
  readonly port: number;
  expiresAt: Instant;
}

/**
 * A router with address and port translation after RFC 4787, as nftables does it. It keeps what conntrack keeps: one
 * flow for each pair of an inside socket and an outside end, refreshed by traffic in either direction. A mapping lives
 * as long as any of its flows.
 */
export class Nat {
  readonly name: string;
  readonly spec: NatSpec;
  /** Where inside hosts send to, and where the internet does. */
  readonly inner: Node = { receive: (packet) => this.#outbound(packet) };
  readonly outer: Node = { receive: (packet) => this.#inbound(packet) };
  readonly #net: Net;
  readonly #address: Address;
  readonly #inside: Lan;
  readonly #upstream: Node;
  /** By inside socket, then by scope. */
  readonly #mappings = new Map<EndId, Map<number, Mapping>>();
  /** By outside port, then by scope. */
  readonly #byPort = new Map<number, Map<number, Mapping>>();
  /** By outside port. */
  readonly #forwards = new Map<number, Mapping>();
  /** By outside end, then by port: what strangers sent to the NAT itself, if it takes such. */
  readonly #own = new Map<EndId, Map<number, Flow>>();
  /** Those used longest ago first. */
  readonly #flows = new Set<Flow>();
  #lastPort: number;
  #peakFlows = 0;

  constructor(net: Net, name: string, spec: NatSpec, wiring: { outside: Address; inside: Lan; upstream: Node }) {
    this.#net = net;
    this.name = name;
    this.spec = spec;
    this.#address = wiring.outside;
    this.#inside = wiring.inside;
    this.#upstream = wiring.upstream;
    this.#lastPort = net.random.between(PORTS.from, PORTS.to);
  }

  /** Entries in its table: what a home router has 1,024 to 4,096 of. `ports` is how many outside ports are taken. */
  get table(): { readonly flows: number; readonly peakFlows: number; readonly ports: number } {
    this.#expire();
    return { flows: this.#flows.size, peakFlows: this.#peakFlows, ports: this.#byPort.size };
  }

  /** A port mapping: whoever sends to `port`, which must be free, reaches the inside end and is answered from there. */
  forward(port: number, inside: EndId): void {
    this.#forwards.set(port, { inside, port, scope: FORWARDED, flows: new Map() });
  }

  /** Forgets all traffic, as a restart does. */
  forget(): void {
    for (const flow of this.#flows) this.#end(flow);
  }

  #outbound(packet: Packet): void {
    this.#expire();
    if (addressIn(packet.to) === this.#address) this.#hairpin(packet);
    else if (this.#passes(packet)) {
      this.#translateSource(packet);
      this.#upstream.receive(packet);
    }
  }

  #inbound(packet: Packet): void {
    this.#expire();
    const mapping = this.#admit(packet);
    if (mapping === undefined) this.#unsolicited(packet);
    else if (this.#passes(packet)) this.#deliver(packet, mapping);
  }

  /** RFC 4787 REQ-9: the source is the outside one. Like the nftables of the other laboratory it does not filter here. */
  #hairpin(packet: Packet): void {
    const mapping = this.spec.hairpin ? this.#byPort.get(portIn(packet.to))?.values().next().value : undefined;
    if (mapping === undefined) this.#net.drop(this.name, packet, "closed");
    else if (this.#passes(packet)) {
      this.#translateSource(packet);
      this.#deliver(packet, mapping);
    }
  }

  #passes(packet: Packet): boolean {
    if (!this.#net.spendHop(this.name, packet)) return false;
    if (!this.spec.udp) this.#net.drop(this.name, packet, "blocked");
    return this.spec.udp;
  }

  #translateSource(packet: Packet): void {
    const mapping = this.#mappingFor(packet.from, packet.to);
    this.#use(mapping, packet.to);
    packet.from = endId(this.#address, mapping.port);
    this.#net.hop(this.name, packet, "translated");
  }

  #deliver(packet: Packet, mapping: Mapping): void {
    this.#use(mapping, packet.from);
    packet.to = mapping.inside;
    this.#net.hop(this.name, packet, "let in");
    this.#inside.deliver(packet);
  }

  /** Nobody inside wants it, so it is for the NAT's own address; no hop is spent on that. */
  #unsolicited(packet: Packet): void {
    const { unsolicited } = this.spec;
    if (unsolicited !== "drop") this.#net.counters.icmp.portUnreachable += 1;
    if (unsolicited === "accept") this.#track(packet.from, portIn(packet.to));
    this.#net.drop(this.name, packet, "filtered");
  }

  /** The mapping that lets a datagram in (RFC 4787 §5). */
  #admit({ from, to }: Packet): Mapping | undefined {
    const port = portIn(to);
    // Conntrack comes before all rules: what once ended here goes on ending here.
    const own = this.#own.get(from)?.get(port);
    if (own !== undefined) return undefined;
    const mappings = this.#byPort.get(port);
    if (mappings === undefined) return this.#forwards.get(port);
    const meant = mappings.get(from) ?? mappings.get(addressIn(from)) ?? mappings.get(ANY_REMOTE);
    if (meant?.flows.has(from)) return meant;
    return mappings.values().find(({ flows }) => admitsStranger(this.spec.filtering, flows, from));
  }

  #mappingFor(inside: EndId, remote: EndId): Mapping {
    const forward = this.#forwards.values().find((one) => one.inside === inside && one.flows.has(remote));
    if (forward !== undefined) return forward;
    const scope = this.#scopeOf(remote);
    return this.#mappings.get(inside)?.get(scope) ?? this.#open(inside, scope, remote);
  }

  #scopeOf(remote: EndId): number {
    const { mapping } = this.spec;
    if (this.#mapsByFlow || mapping === "address-and-port-dependent") return remote;
    return mapping === "address-dependent" ? addressIn(remote) : ANY_REMOTE;
  }

  /**
   * A router that takes what nobody asked for makes a flow of that, too, and that flow owns its port towards the remote.
   * Such a router keeps nothing beyond flows; it looks endpoint-independent as long as its ports are free.
   */
  get #mapsByFlow(): boolean {
    return this.spec.unsolicited === "accept";
  }

  #open(inside: EndId, scope: number, remote: EndId): Mapping {
    const mapping: Mapping = { inside, port: this.#choosePort(inside, scope, remote), scope, flows: new Map() };
    entry(this.#mappings, inside, () => new Map()).set(scope, mapping);
    entry(this.#byPort, mapping.port, () => new Map()).set(scope, mapping);
    return mapping;
  }

  #choosePort(inside: EndId, scope: number, remote: EndId): number {
    const { ports } = this.spec;
    if (ports === "preserved") {
      // Linux first takes the port that the socket has towards others.
      const others = this.#mapsByFlow ? this.#mappings.get(inside)?.values() : undefined;
      const known = others?.find((other) => this.#isFree(other.port, scope, remote));
      if (known !== undefined) return known.port;
      if (this.#isFree(portIn(inside), scope, remote)) return portIn(inside);
    }
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      this.#lastPort =
        typeof ports === "object"
          ? wrapPort(this.#lastPort + ports.sequential)
          : this.#net.random.between(PORTS.from, PORTS.to);
      if (this.#isFree(this.#lastPort, scope, remote)) return this.#lastPort;
    }
    throw new Error(`${this.name} has no free port left`);
  }

  /** Two mappings may share a port as long as no destination can be meant by both. */
  #isFree(port: number, scope: number, remote: EndId): boolean {
    if (this.#own.get(remote)?.has(port) || this.#forwards.has(port)) return false;
    const taken = this.#byPort.get(port);
    return taken === undefined || (scope !== ANY_REMOTE && !taken.has(ANY_REMOTE) && !taken.has(scope));
  }

  #use(mapping: Mapping, remote: EndId): void {
    const flow = mapping.flows.get(remote) ?? { remote, mapping, port: mapping.port, expiresAt: 0 };
    mapping.flows.set(remote, flow);
    this.#refresh(flow);
  }

  #track(remote: EndId, port: number): void {
    const flows = entry(this.#own, remote, () => new Map<number, Flow>());
    const flow = flows.get(port) ?? { remote, mapping: undefined, port, expiresAt: 0 };
    flows.set(port, flow);
    this.#refresh(flow);
  }

  #refresh(flow: Flow): void {
    flow.expiresAt = this.#net.now + this.spec.lifetimeSeconds * 1_000;
    this.#flows.delete(flow);
    this.#flows.add(flow);
    this.#peakFlows = Math.max(this.#peakFlows, this.#flows.size);
  }

  #expire(): void {
    for (const flow of this.#flows) {
      if (flow.expiresAt > this.#net.now) return;
      this.#end(flow);
    }
  }

  #end(flow: Flow): void {
    this.#flows.delete(flow);
    const { mapping, remote, port } = flow;
    if (mapping === undefined) removeFrom(this.#own, remote, port);
    else {
      mapping.flows.delete(remote);
      if (mapping.flows.size > 0) return;
      removeFrom(this.#mappings, mapping.inside, mapping.scope);
      removeFrom(this.#byPort, mapping.port, mapping.scope);
    }
  }
}

/** Whether one with whom the mapping has no flow yet may send to it (RFC 4787 §5). */
function admitsStranger(filtering: Dependence, flows: ReadonlyMap<EndId, Flow>, from: EndId): boolean {
  if (filtering !== "address-dependent") return filtering === "endpoint-independent";
  return flows.keys().some((remote) => addressIn(remote) === addressIn(from));
}

/** Round the end of the range, in either direction. */
function wrapPort(port: number): number {
  const count = PORTS.to - PORTS.from + 1;
  return PORTS.from + ((((port - PORTS.from) % count) + count) % count);
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function removeFrom<Key, Inner>(map: Map<Key, Map<Inner, unknown>>, key: Key, inner: Inner): void {
  const values = map.get(key);
  values?.delete(inner);
  if (values?.size === 0) map.delete(key);
}
