import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";

const LOOPBACK = "127.0.0.1";

/** Passes on what an endpoint of QUIC's sent. The datagram is the receiver's to keep. */
export type FromQuic = (datagram: Uint8Array) => void;

/**
 * A UDP socket on loopback that stands for the other end of a pipe: QUIC, which can only have a socket, sends to it and
 * hears from it, and never learns which path a datagram took. Only the endpoint that it was made for is heard. What
 * comes in a burst leaves paced, as `openUdp` does it: Bun's endpoints keep the system's default buffer, 92 packets.
 *
 * Throws `io.bind`.
 */
export async function openShim(fromQuic: FromQuic, endpointPort?: number): Promise<QuicShim> {
  const shim = new QuicShim(fromQuic, endpointPort);
  await shim.open();
  return shim;
}

/** Made by `openShim`. */
export class QuicShim implements Disposable {
  readonly #fromQuic: FromQuic;
  readonly #isConnected: boolean;
  #endpointPort: number | undefined;
  #udp: UdpSocket | undefined;
  /** Datagrams that came to nothing here. QUIC sends again what matters. */
  dropped = 0;

  constructor(fromQuic: FromQuic, endpointPort: number | undefined) {
    this.#fromQuic = fromQuic;
    this.#isConnected = endpointPort !== undefined;
    this.#endpointPort = endpointPort;
  }

  async open(): Promise<void> {
    const port = this.#endpointPort;
    this.#udp = await openUdp({
      host: LOOPBACK,
      port: 0,
      ...(port !== undefined && { connect: { host: LOOPBACK, port } }),
      onDatagram: (datagram, fromPort) => this.#received(datagram, fromPort),
      onDrop: (_reason, count) => {
        this.dropped += count;
      },
      onSent: () => {},
      onError: () => {},
    });
  }

  /** By which QUIC knows the other end. */
  get port(): number {
    return this.#udp?.port ?? 0;
  }

  /** The endpoint, where its port is known only after it has dialled. */
  set endpointPort(port: number) {
    this.#endpointPort = port;
  }

  /** Datagrams that came through the pipe. */
  toQuic(datagrams: readonly Uint8Array[]): void {
    if (this.#isConnected) this.#udp?.send(datagrams);
    else if (this.#endpointPort !== undefined) this.#udp?.sendTo(datagrams, this.#endpointPort, LOOPBACK);
    else this.dropped += datagrams.length;
  }

  [Symbol.dispose](): void {
    this.#udp?.[Symbol.dispose]();
  }

  #received(datagram: Uint8Array, fromPort: number): void {
    if (this.#isConnected || fromPort === this.#endpointPort) this.#fromQuic(datagram);
    else this.dropped += 1;
  }
}
