import type { Datagram, Transmit } from "../../core/machine.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import type { SocketRequest } from "../../core/peer/peer-event.ts";
import { FIRST_FAN_SOCKET } from "../../core/peer/peer-options.ts";
import type { Log } from "../../io/log/log.ts";
import type { Share } from "../../io/udp/shared-fan.ts";
import { openFan, type UdpFan } from "../../io/udp/udp-fan.ts";

export interface PeerSocketsHooks {
  datagram(datagram: Datagram): void;
  /** The first `count` sockets of those that were asked for from `first` on are there. */
  opened(first: number, count: number): void;
}

/** Sockets that were asked for together. */
interface Group {
  readonly first: number;
  readonly count: number;
  /** Undefined while they are being opened. */
  fan: UdpFan | undefined;
  /** How many are left of them. */
  open: number;
  /** Nobody wants any of them any more. */
  isOver: boolean;
}

/**
 * The sockets of a `Peer`: those that the node has anyway, by their own numbers, and those that hard-NAT punching asks
 * for, from `FIRST_FAN_SOCKET` on. Whatever ends, every socket that was opened is closed.
 */
export class PeerSockets implements Disposable {
  readonly #shared: Share;
  readonly #local: readonly Endpoint[];
  readonly #hooks: PeerSocketsHooks;
  readonly #log: Log;
  readonly #groups = new Set<Group>();

  constructor(shared: Share, local: readonly Endpoint[], hooks: PeerSocketsHooks, log: Log) {
    this.#shared = shared;
    this.#local = local;
    this.#hooks = hooks;
    this.#log = log;
    shared.onDatagram = (datagram) => hooks.datagram(datagram);
  }

  /** Of hard-NAT, open at this moment or being opened. */
  get extra(): number {
    let count = 0;
    for (const { open } of this.#groups) count += open;
    return count;
  }

  /** Where a socket is bound. */
  local(socket: number): Endpoint | undefined {
    const group = this.#groupOf(socket);
    return group === undefined ? this.#local[socket] : group.fan?.local[socket - group.first];
  }

  send(transmits: readonly Transmit[]): void {
    let first = 0;
    while (first < transmits.length) {
      // Invariant: `first` is within the list.
      const { socket } = transmits[first] as Transmit;
      const group = this.#groupOf(socket);
      let end = first + 1;
      while (end < transmits.length && this.#groupOf((transmits[end] as Transmit).socket) === group) end += 1;
      const run = first === 0 && end === transmits.length ? transmits : transmits.slice(first, end);
      if (group === undefined) this.#shared.send(run);
      else group.fan?.send(run.map((one) => ({ ...one, socket: one.socket - group.first })));
      first = end;
    }
  }

  handle(request: SocketRequest): void {
    if (request.type === "open") void this.#open(request.first, request.count);
    else this.#close(request);
  }

  [Symbol.dispose](): void {
    this.#shared[Symbol.dispose]();
    for (const group of [...this.#groups]) this.#end(group);
  }

  async #open(first: number, count: number): Promise<void> {
    const group: Group = { first, count, fan: undefined, open: count, isOver: false };
    this.#groups.add(group);
    const fan = await openFan(Array.from({ length: count }, () => ({ dontFragment: true }))).catch((error: unknown) => {
      this.#log.warn("peer_sockets_fail", { sockets: count, err: error });
    });
    if (group.isOver) {
      fan?.[Symbol.dispose]();
      return;
    }
    if (fan === undefined) this.#groups.delete(group);
    else {
      group.fan = fan;
      fan.onDatagram = (datagram) => this.#hooks.datagram({ ...datagram, socket: datagram.socket + first });
    }
    this.#hooks.opened(first, fan === undefined ? 0 : count);
  }

  #close({ first, count, keep }: Extract<SocketRequest, { type: "close" }>): void {
    for (const group of [...this.#groups]) {
      if (group.first + group.count <= first || group.first >= first + count) continue;
      if (keep === undefined || group !== this.#groupOf(keep)) this.#end(group);
      else {
        group.fan?.keep(keep - group.first);
        group.open = 1;
      }
    }
  }

  #end(group: Group): void {
    this.#groups.delete(group);
    group.isOver = true;
    group.fan?.[Symbol.dispose]();
  }

  #groupOf(socket: number): Group | undefined {
    if (socket < FIRST_FAN_SOCKET) return undefined;
    for (const group of this.#groups) if (socket >= group.first && socket < group.first + group.count) return group;
    return undefined;
  }
}
