import type { Datagram, Transmit } from "../../core/machine.ts";
import type { UdpFan } from "./udp-fan.ts";

/** What a driver needs of sockets. */
export type Sockets = Pick<UdpFan, "onDatagram" | "send">;

/** A machine's part in a fan that others use, too. Disposal gives the part up; the sockets stay as they are. */
export interface Share extends Sockets, Disposable {}

interface Part {
  readonly share: Share;
  readonly takes: (datagram: Datagram) => boolean;
  isOpen: boolean;
}

/**
 * Several machines on the sockets of one fan, each driven by itself (`drive(machine, shared.share(…), …)`): on the one
 * UDP port of a node STUN, ICE and sealed traffic live together, told apart by what a datagram looks like
 * (RFC 7983, and the types that DESIGN gives to sealed packets).
 *
 * A datagram goes to everybody who takes it, since only its owner can tell whether a STUN answer is its own; so nobody
 * may write into a payload. What nobody takes is counted and forgotten.
 */
export class SharedFan {
  /** Datagrams that nobody took. */
  unclaimed = 0;
  readonly #fan: UdpFan;
  /** Another list whenever it changes: a machine may end, or begin another, on what it gets. */
  #parts: readonly Part[] = [];

  /** The fan's `onDatagram` is this one's from now on; its disposal stays the caller's. */
  constructor(fan: UdpFan) {
    this.#fan = fan;
    fan.onDatagram = (datagram) => this.#dispatch(datagram);
  }

  /** `takes` looks at each datagram that arrives and must be quick. */
  share(takes: (datagram: Datagram) => boolean): Share {
    const share: Share = {
      onDatagram: () => {},
      send: (transmits) => {
        if (part.isOpen) this.#fan.send(transmits);
      },
      [Symbol.dispose]: () => {
        part.isOpen = false;
        this.#parts = this.#parts.filter((other) => other !== part);
      },
    };
    const part: Part = { share, takes, isOpen: true };
    this.#parts = [...this.#parts, part];
    return share;
  }

  #dispatch(datagram: Datagram): void {
    let taken = false;
    for (const part of this.#parts) {
      if (!part.isOpen || !part.takes(datagram)) continue;
      taken = true;
      part.share.onDatagram(datagram);
    }
    if (!taken) this.unclaimed += 1;
  }
}

/** Two groups of sockets as one: the first `count` numbers are those of `first`, the rest are `second`'s, from 0. */
export function joinSockets(first: Sockets, count: number, second: Sockets): Sockets {
  let receive: (datagram: Datagram) => void = () => {};
  first.onDatagram = (datagram) => receive(datagram);
  second.onDatagram = (datagram) => receive({ ...datagram, socket: datagram.socket + count });
  return {
    get onDatagram() {
      return receive;
    },
    set onDatagram(handler) {
      receive = handler;
    },
    send(transmits) {
      const isFirst = ({ socket }: Transmit) => socket < count;
      first.send(transmits.filter(isFirst));
      second.send(transmits.filter((one) => !isFirst(one)).map((one) => ({ ...one, socket: one.socket - count })));
    },
  };
}
