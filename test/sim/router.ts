import type { Net } from "./net.ts";
import { type Address, addressIn, isGlobal, type Node, type Packet } from "./packet.ts";

/** A switch and what hangs on it. What is for none of its members goes to the gateway; TTL is nothing to it. */
export class Lan implements Node {
  readonly #net: Net;
  readonly #name: string;
  readonly #members = new Map<Address, Node>();
  #gateway: Node | undefined;

  constructor(net: Net, name: string) {
    this.#net = net;
    this.#name = name;
  }

  set gateway(gateway: Node) {
    this.#gateway = gateway;
  }

  join(address: Address, member: Node): void {
    this.#members.set(address, member);
  }

  /** From a member. */
  receive(packet: Packet): void {
    const member = this.#members.get(addressIn(packet.to)) ?? this.#gateway;
    if (member === undefined) this.#net.drop(this.#name, packet, "unroutable");
    else member.receive(packet);
  }

  /** From the gateway. */
  deliver(packet: Packet): void {
    const member = this.#members.get(addressIn(packet.to));
    if (member === undefined) this.#net.drop(this.#name, packet, "unroutable");
    else member.receive(packet);
  }
}

/** The one router in the middle: routes to single addresses (NATs), the rest to its own network (public hosts). */
export class InternetRouter implements Node {
  readonly #net: Net;
  readonly #publicLan: Lan;
  readonly #routes = new Map<Address, Node>();

  constructor(net: Net, publicLan: Lan) {
    this.#net = net;
    this.#publicLan = publicLan;
  }

  route(address: Address, via: Node): void {
    this.#routes.set(address, via);
  }

  receive(packet: Packet): void {
    if (!this.#net.spendHop("internet", packet)) return;
    const to = addressIn(packet.to);
    if (!isGlobal(to) || !isGlobal(addressIn(packet.from))) this.#net.drop("internet", packet, "unroutable");
    else {
      this.#net.hop("internet", packet, "passed on");
      const route = this.#routes.get(to);
      if (route === undefined) this.#publicLan.deliver(packet);
      else route.receive(packet);
    }
  }
}
