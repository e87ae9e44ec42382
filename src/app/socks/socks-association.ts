import { type Destination, NO_ADDRESS } from "../../core/socks/address.ts";
import type { EntryRefusal, SocksCounters } from "../../core/socks/socks-counters.ts";
import { decodeAddressed, decodeUdp } from "../../core/socks/udp-header.ts";
import type { TcpConnection } from "../../io/tcp/tcp-connection.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";

/** What `RSV | FRAG` of RFC 1928 §7 are in every datagram to a program. */
const HEAD = new Uint8Array(3);

export interface AssociationOptions {
  /** The connection on which the program asked for it: its datagrams come from the same address. */
  readonly tcp: TcpConnection;
  /** What the program said of where they come from. Its port counts, if there is one. */
  readonly from: Destination;
  readonly counters: SocksCounters<EntryRefusal>;
  /** A datagram for the agent, `ATYP | ADDR | PORT | DATA`; false: dropped. */
  send(datagram: Uint8Array): boolean;
}

/**
 * The local half of a UDP association: a UDP socket for one program, which is known by the address of its TCP
 * connection and by the port it uses first. Throws `io.bind`.
 */
export async function openAssociation(options: AssociationOptions): Promise<SocksAssociation> {
  const association = new SocksAssociation(options);
  await association.bind();
  return association;
}

/** Made by `openAssociation`. */
export class SocksAssociation implements Disposable {
  readonly #options: AssociationOptions;
  #port: number;
  #udp: UdpSocket | undefined;

  constructor(options: AssociationOptions) {
    this.#options = options;
    this.#port = options.from.port;
  }

  async bind(): Promise<void> {
    const { tcp, counters } = this.#options;
    this.#udp = await openUdp({
      host: tcp.localAddress,
      port: 0,
      onDatagram: (datagram, port, address) => this.#fromProgram(datagram, port, address),
      onDrop: () => counters.refuse("udp_blocked"),
      onSent: () => {},
    });
  }

  /** Where the program is to send. */
  get bound(): Destination {
    return this.#udp === undefined ? NO_ADDRESS : { host: this.#options.tcp.localAddress, port: this.#udp.port };
  }

  /** A datagram of the agent's: `ATYP | ADDR | PORT | DATA`. */
  deliver(datagram: Uint8Array): void {
    const { tcp, counters } = this.#options;
    // Until the program has sent one, nobody knows its port.
    if (this.#port === 0 || !decodeAddressed(datagram).ok) {
      counters.refuse("udp_malformed");
      return;
    }
    const whole = new Uint8Array(HEAD.length + datagram.length);
    whole.set(datagram, HEAD.length);
    counters.datagrams.down += 1;
    this.#udp?.sendTo([whole], this.#port, tcp.remoteAddress);
  }

  [Symbol.dispose](): void {
    this.#udp?.[Symbol.dispose]();
  }

  #fromProgram(datagram: Uint8Array, port: number, address: string): void {
    const { tcp, counters, send } = this.#options;
    if (this.#port === 0 && address === tcp.remoteAddress) this.#port = port;
    if (address !== tcp.remoteAddress || port !== this.#port) {
      counters.refuse("udp_source");
      return;
    }
    const reading = decodeUdp(datagram);
    if (!reading.ok) counters.refuse(reading.kind === "fragment" ? "udp_fragment" : "udp_malformed");
    else if (send(datagram.subarray(HEAD.length))) counters.datagrams.up += 1;
    else counters.refuse("udp_blocked");
  }
}
