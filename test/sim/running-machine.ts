import type { Machine } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { EventOf, Running } from "../contract/world.ts";
import type { Due } from "./event-queue.ts";
import type { Host, Socket } from "./host.ts";
import type { Net } from "./net.ts";
import { endpointOf, type Packet } from "./packet.ts";

/** A machine that is woken this often while no time passes will never let it pass. */
const MAX_WAKES_AT_ONCE = 10_000;

/** What `io/drive.ts` does, on virtual time and simulated sockets. */
export class RunningMachine<M extends Machine<unknown>> implements Running<M>, Due {
  readonly machine: M;
  readonly local: readonly Endpoint[];
  readonly events: EventOf<M>[] = [];
  readonly #net: Net;
  readonly #host: Host;
  readonly #sockets: readonly Socket[];
  #stopped = false;
  /** The earliest time for which the event queue holds this. */
  #wakeAt: Instant = NEVER;
  #wakes = { at: 0, count: 0 };

  constructor(net: Net, host: Host, sockets: readonly Socket[], local: readonly Endpoint[], machine: M) {
    this.#net = net;
    this.#host = host;
    this.#sockets = sockets;
    this.local = local;
    this.machine = machine;
    for (const [index, socket] of sockets.entries()) socket.onPacket = (packet) => this.#take(index, packet);
    this.poke();
  }

  poke(): void {
    if (this.#stopped) return;
    const { machine } = this;
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
      const socket = this.#sockets[next.socket];
      if (socket === undefined) throw new Error(`A machine on ${this.#host.name} has no socket ${next.socket}`);
      this.#host.send(socket, next);
    }
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent())
      this.events.push(event as EventOf<M>);
    this.#arm();
  }

  /** Its time has come, or had been meant to come. */
  fire(): void {
    this.#wakeAt = NEVER;
    if (this.#stopped) return;
    if (this.machine.nextTimeout() <= this.#net.now) {
      this.#countWake();
      this.machine.handleTimeout(this.#net.now);
      this.poke();
    } else this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    for (const socket of this.#sockets) this.#host.close(socket);
  }

  #take(socket: number, { from, payload }: Packet): void {
    // A copy: the payload is the receiver's to keep, and a link may have duplicated it.
    const datagram = { socket, from: endpointOf(from), payload: payload.slice() };
    this.machine.handleDatagram(this.#net.now, datagram);
    this.poke();
  }

  /** A machine that changes its mind leaves no litter: a later time is asked for when the earlier one has come. */
  #arm(): void {
    const at = Math.max(this.machine.nextTimeout(), this.#net.now);
    if (Number.isNaN(at)) throw new Error(`A machine on ${this.#host.name} wants to be woken at no time at all`);
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    this.#net.queue.push(at, this);
  }

  #countWake(): void {
    if (this.#wakes.at !== this.#net.now) this.#wakes = { at: this.#net.now, count: 0 };
    this.#wakes.count += 1;
    if (this.#wakes.count > MAX_WAKES_AT_ONCE)
      throw new Error(`A machine on ${this.#host.name} wants to be woken at ${this.#net.now} for ever`);
  }
}
