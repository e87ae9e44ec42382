import { formatEndpoint } from "../../core/net/endpoint.ts";
import { canonicalIp, ipFamily } from "../../core/net/ip.ts";
import { FlowTable, type IdleFlow } from "../../core/pipe/flow-table.ts";
import type { Destination } from "../../core/socks/address.ts";
import type { ExitFault, SocksCounters } from "../../core/socks/socks-counters.ts";
import { decodeAddressed, encodeAddressed } from "../../core/socks/udp-header.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import { localAddressTowards } from "../../io/system/interfaces.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { FlowTimer } from "../peers/flow-timer.ts";
import type { ExitDialer } from "./exit-dialer.ts";

/** Destinations of one association, and how long each may answer after it was last written to (RFC 4787 REQ-5). */
const MAX_DESTINATIONS = 1_024;
const IDLE_MS = 300_000;
/** Names that an association has looked up, and for how long that holds. */
const MAX_NAMES = 64;
const NAME_MS = 60_000;
/** Datagrams that may wait for a name or a socket. */
const MAX_WAITING = 64;

export interface ExitAssociationOptions {
  readonly dialer: ExitDialer;
  /** Whose it is. */
  readonly peer: string;
  readonly counters: SocksCounters<ExitFault>;
  /** A datagram for the program, `ATYP | ADDR | PORT | DATA`; false: dropped. */
  send(datagram: Uint8Array): boolean;
  refused(fault: ExitFault): void;
}

interface Name {
  readonly until: Instant;
  readonly addresses: Promise<readonly string[] | ExitFault>;
}

/**
 * The agent's half of a UDP association: one socket for each address family, from which the peer's datagrams leave.
 * Each of them is judged by the address that it goes to, and only who was written to may answer. Sockets are opened when
 * they are wanted and closed when nobody may answer any more.
 */
export class ExitAssociation implements Disposable {
  readonly #options: ExitAssociationOptions;
  readonly #ended = new AbortController();
  readonly #destinations = new FlowTable<string, IdleFlow>({ maxFlows: MAX_DESTINATIONS, idleMs: IDLE_MS });
  readonly #timer: FlowTimer<string, IdleFlow>;
  readonly #names = new Map<string, Name>();
  readonly #sockets = new Map<4 | 6, UdpSocket | Promise<UdpSocket>>();
  #waiting = 0;

  constructor(options: ExitAssociationOptions) {
    this.#options = options;
    this.#timer = new FlowTimer(this.#destinations, () => {
      if (this.#destinations.size === 0) this.#close();
    });
  }

  /** A datagram of the peer's: `ATYP | ADDR | PORT | DATA`. */
  deliver(datagram: Uint8Array): void {
    const reading = decodeAddressed(datagram);
    if (!reading.ok) {
      this.#options.refused("udp_malformed");
      return;
    }
    const { destination, payload } = reading;
    const address = canonicalIp(destination.host);
    if (address !== undefined) this.#send(address, destination.port, payload);
    else this.#whileWaiting(() => this.#sendByName(destination, payload));
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#timer[Symbol.dispose]();
    this.#close();
  }

  async #sendByName(destination: Destination, payload: Uint8Array): Promise<void> {
    const found = await this.#look(destination);
    if (typeof found === "string") this.#options.refused(found);
    else if (found[0] === undefined) this.#options.refused("network_unreachable");
    else this.#send(found[0], destination.port, payload, destination.host);
  }

  #look(destination: Destination): Name["addresses"] {
    const key = `${destination.host} ${destination.port}`;
    const known = this.#names.get(key);
    if (known !== undefined && known.until > now()) return known.addresses;
    const { dialer, peer } = this.#options;
    const looked = dialer.look(destination, peer, this.#ended.signal);
    const addresses: Name["addresses"] = looked.then(async (answer) => {
      if (answer.ok) return withRoute(answer.addresses, destination.port);
      // The next datagram may have more luck.
      if (this.#names.get(key)?.addresses === addresses) this.#names.delete(key);
      return answer.fault;
    });
    this.#names.delete(key);
    this.#names.set(key, { until: now() + NAME_MS, addresses });
    const [oldest] = this.#names.keys();
    if (this.#names.size > MAX_NAMES && oldest !== undefined) this.#names.delete(oldest);
    return addresses;
  }

  #send(address: string, port: number, payload: Uint8Array, name?: string): void {
    const fault = this.#options.dialer.judge(address, port, name);
    if (fault !== undefined || port === 0) {
      this.#options.refused(fault ?? "udp_malformed");
      return;
    }
    const socket = this.#sockets.get(ipFamily(address)) ?? this.#open(ipFamily(address));
    if (socket instanceof Promise) {
      this.#whileWaiting(async () => this.#sendFrom(await socket, address, port, payload));
    } else this.#sendFrom(socket, address, port, payload);
  }

  #sendFrom(socket: UdpSocket, address: string, port: number, payload: Uint8Array): void {
    if (this.#ended.signal.aborted) return;
    const key = formatEndpoint({ address, port });
    const known = this.#destinations.get(key);
    if (known === undefined) this.#destinations.add(key, { usedAt: now() });
    else known.usedAt = now();
    this.#timer.arm();
    this.#options.counters.datagrams.up += 1;
    socket.sendTo([payload], port, address);
  }

  #open(family: 4 | 6): Promise<UdpSocket> {
    const opening = openUdp({
      host: family === 4 ? "0.0.0.0" : "::",
      port: 0,
      onDatagram: (datagram, port, address) => this.#fromOutside(datagram, port, address),
      onDrop: () => this.#options.refused("udp_blocked"),
      onSent: () => {},
      onError: () => {},
    });
    this.#sockets.set(family, opening);
    opening.then(
      (socket) => {
        if (this.#ended.signal.aborted) socket[Symbol.dispose]();
        else this.#sockets.set(family, socket);
      },
      () => this.#sockets.delete(family),
    );
    return opening;
  }

  #fromOutside(datagram: Uint8Array, port: number, from: string): void {
    const address = canonicalIp(from) ?? from;
    if (this.#destinations.get(formatEndpoint({ address, port })) === undefined) {
      this.#options.refused("udp_source");
      return;
    }
    if (this.#options.send(encodeAddressed({ host: address, port }, datagram)))
      this.#options.counters.datagrams.down += 1;
    else this.#options.refused("udp_blocked");
  }

  #whileWaiting(send: () => Promise<void>): void {
    if (this.#waiting >= MAX_WAITING) {
      this.#options.refused("udp_blocked");
      return;
    }
    this.#waiting += 1;
    send()
      .catch(() => this.#options.refused("udp_blocked"))
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  #close(): void {
    for (const socket of this.#sockets.values()) if (!(socket instanceof Promise)) socket[Symbol.dispose]();
    this.#sockets.clear();
  }
}

/** Those that there is a route to: a name with IPv6 is no use to an agent without. */
async function withRoute(addresses: readonly string[], port: number): Promise<readonly string[]> {
  const local = await Promise.all(addresses.map((address) => localAddressTowards({ address, port })));
  return addresses.filter((_, index) => local[index] !== undefined);
}
