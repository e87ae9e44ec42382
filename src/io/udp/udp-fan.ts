import type { Datagram, Transmit } from "../../core/machine.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { canonicalIp, ipFamily } from "../../core/net/ip.ts";
import { openUdp, type UdpSocket } from "./udp.ts";

/** The system's usual IP time to live, which a socket goes back to after a low one. */
export const DEFAULT_TTL = 64;

/** Where a socket of a fan is bound; any address (IPv4) and any free port unless told. */
export interface Bind {
  readonly address?: string;
  readonly port?: number;
  /** What is too large for its way is lost, not cut in pieces. */
  readonly dontFragment?: boolean;
  /** An IPv6 wildcard takes its port for IPv6 alone. */
  readonly ipv6Only?: boolean;
  /** The config key or flag that names another address, for who cannot have this one. */
  readonly setting?: string;
}

/** Several UDP sockets that belong together: those of one machine. Disposal closes all that are left. */
export interface UdpFan extends Disposable {
  /** Bound address and port of each socket, the address as it was asked for. */
  readonly local: readonly Endpoint[];
  /** Gets everything that arrives at any of the sockets; set it before the first send. */
  onDatagram: (datagram: Datagram) => void;
  /** ICMP errors and datagrams that the system refused, since the beginning. */
  readonly errors: { icmp: number; refused: number };
  /** In the order given; consecutive ones from one socket to one address leave in one system call. */
  send(transmits: readonly Transmit[]): void;
  /** Closes all sockets but this one, whose time to live is the default again; its datagrams still come to `onDatagram`. */
  keep(socket: number): void;
}

/**
 * Opens one UDP socket for each of `binds`. Throws `io.bind` when one cannot be had; then none stays open.
 *
 * A datagram towards the other address family than its socket's is counted as refused.
 */
export async function openFan(binds: readonly Bind[]): Promise<UdpFan> {
  using opening = new DisposableStack();
  const sockets: (UdpSocket | undefined)[] = [];
  const ttls: number[] = [];
  const local: Endpoint[] = [];
  const errors = { icmp: 0, refused: 0 };
  let receive: (datagram: Datagram) => void = () => {};

  for (const [index, { address = "0.0.0.0", port = 0, ...rest }] of binds.entries()) {
    const nameOf = endpoints();
    const socket = await openUdp({
      host: address,
      port,
      ...rest,
      onDatagram: (payload, fromPort, from) => receive({ socket: index, from: nameOf(from, fromPort), payload }),
      onDrop: (_reason, count) => {
        errors.refused += count;
      },
      onSent: () => {},
      onError: () => {
        errors.icmp += 1;
      },
    });
    opening.use(socket);
    sockets.push(socket);
    ttls.push(DEFAULT_TTL);
    local.push({ address, port: socket.port });
  }
  const open = opening.move();

  function setTtl(index: number, socket: UdpSocket, ttl: number): void {
    if (ttls[index] === ttl) return;
    socket.setTtl(ttl);
    ttls[index] = ttl;
  }

  return {
    local,
    errors,
    get onDatagram() {
      return receive;
    },
    set onDatagram(handler) {
      receive = handler;
    },
    send(transmits) {
      let first = 0;
      while (first < transmits.length) {
        // Invariant: `first` is within the list.
        const { socket: index, to, ttl = DEFAULT_TTL } = transmits[first] as Transmit;
        const batch: Uint8Array[] = [];
        for (; first < transmits.length; first++) {
          const next = transmits[first] as Transmit;
          if (next.socket !== index || next.to !== to || (next.ttl ?? DEFAULT_TTL) !== ttl) break;
          batch.push(next.payload);
        }
        const socket = sockets[index];
        if (socket === undefined || ipFamily(socket.host) < ipFamily(to.address)) errors.refused += batch.length;
        else {
          setTtl(index, socket, ttl);
          socket.sendTo(batch, to.port, to.address);
        }
      }
    },
    keep(kept) {
      for (const [index, socket] of sockets.entries()) {
        if (socket === undefined) continue;
        if (index === kept) setTtl(index, socket, DEFAULT_TTL);
        else {
          socket[Symbol.dispose]();
          sockets[index] = undefined;
        }
      }
    },
    [Symbol.dispose]() {
      receive = () => {};
      open[Symbol.dispose]();
    },
  };
}

/** Senders as endpoints. Whoever sent last will probably send next, and need not be read again. */
function endpoints(): (text: string, port: number) => Endpoint {
  let lastText = "";
  let last: Endpoint = { address: "", port: -1 };
  return (text, port) => {
    if (port === last.port && text === lastText) return last;
    lastText = text;
    last = { address: canonicalIp(text) ?? text, port };
    return last;
  };
}
