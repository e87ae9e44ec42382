import { UtError } from "../../src/core/error.ts";
import type { Machine, Transmit } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { Instant } from "../../src/core/time.ts";
import type { Bind, Running } from "../contract/world.ts";
import type { Net } from "./net.ts";
import { type Address, addressIn, type EndId, endId, type Node, type Packet, parseAddress, portIn } from "./packet.ts";
import { RunningMachine } from "./running-machine.ts";

/** Linux's `ip_local_port_range`. */
const EPHEMERAL = { from: 32_768, to: 60_999 };
const DEFAULT_TTL = 64;
const ANY_ADDRESS: Address = 0;

/** One socket of a machine. */
export interface Socket {
  /** What it is bound to; the address may be 0.0.0.0. */
  readonly end: EndId;
  onPacket: (packet: Packet) => void;
}

/** A computer with one interface, one or more addresses, and sockets. */
export class Host implements Node {
  readonly name: string;
  readonly #net: Net;
  readonly #addresses: readonly Address[];
  readonly #uplink: Node;
  readonly #loopback: Node;
  readonly #sockets = new Map<EndId, Socket>();

  /** `linkTo` makes the wire that carries what a host sends to itself. */
  constructor(net: Net, name: string, addresses: readonly Address[], uplink: Node, linkTo: (host: Host) => Node) {
    this.#net = net;
    this.name = name;
    this.#addresses = addresses;
    this.#uplink = uplink;
    this.#loopback = linkTo(this);
  }

  /** Opens the sockets, makes the machine and lets it begin. Throws `io.bind`; then none stays open. */
  run<M extends Machine<unknown>>(
    binds: readonly Bind[],
    make: (local: readonly Endpoint[], now: Instant) => M,
  ): Running<M> {
    using opening = new DisposableStack();
    const sockets: Socket[] = [];
    const local: Endpoint[] = [];
    for (const bind of binds) {
      const socket = this.#bind(bind);
      opening.defer(() => this.close(socket));
      sockets.push(socket);
      local.push({ address: bind.address ?? "0.0.0.0", port: portIn(socket.end) });
    }
    const running = new RunningMachine(this.#net, this, sockets, local, make(local, this.#net.now));
    opening.move();
    return running;
  }

  close(socket: Socket): void {
    this.#sockets.delete(socket.end);
  }

  send(socket: Socket, { to, payload, ttl = DEFAULT_TTL }: Transmit): void {
    const bound = addressIn(socket.end);
    // Linux gives a datagram from a socket on any address the first address of the interface.
    const source = bound === ANY_ADDRESS ? (this.#addresses[0] ?? ANY_ADDRESS) : bound;
    const target = parseAddress(to.address) ?? ANY_ADDRESS;
    const packet: Packet = { from: endId(source, portIn(socket.end)), to: endId(target, to.port), ttl, payload };
    this.#net.counters.sent += 1;
    this.#net.hop(this.name, packet, "sent");
    if (target === ANY_ADDRESS) this.#net.drop(this.name, packet, "unroutable");
    else if (this.#addresses.includes(target)) this.#loopback.receive(packet);
    else this.#uplink.receive(packet);
  }

  receive(packet: Packet): void {
    const socket = this.#sockets.get(packet.to) ?? this.#sockets.get(endId(ANY_ADDRESS, portIn(packet.to)));
    if (socket === undefined) this.#net.drop(this.name, packet, "closed");
    else {
      this.#net.counters.delivered += 1;
      this.#net.hop(this.name, packet, "delivered");
      socket.onPacket(packet);
    }
  }

  #bind({ address = "0.0.0.0", port = 0 }: Bind): Socket {
    const at = parseAddress(address);
    if (at === undefined || (at !== ANY_ADDRESS && !this.#addresses.includes(at)))
      throw new UtError("io.bind", `Cannot bind UDP ${address}: ${this.name} has no such address`);
    if (port !== 0 && this.#isTaken(at, port))
      throw new UtError("io.bind", `Cannot bind UDP ${address}:${port} on ${this.name}: in use`);
    const socket: Socket = { end: endId(at, port === 0 ? this.#freePort(at) : port), onPacket: () => {} };
    this.#sockets.set(socket.end, socket);
    return socket;
  }

  #freePort(address: Address): number {
    for (;;) {
      const port = this.#net.random.between(EPHEMERAL.from, EPHEMERAL.to);
      if (!this.#isTaken(address, port)) return port;
    }
  }

  /** A socket on any address has its port on all of them. */
  #isTaken(address: Address, port: number): boolean {
    const rivals = address === ANY_ADDRESS ? this.#addresses : [address];
    return [ANY_ADDRESS, ...rivals].some((rival) => this.#sockets.has(endId(rival, port)));
  }
}
