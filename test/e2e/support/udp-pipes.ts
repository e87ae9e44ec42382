import type { Pipes, PipeUser } from "../../../src/app/peers/peer-plane.ts";
import { FLOW_QUIC } from "../../../src/core/pipe/packet.ts";
import { now } from "../../../src/io/clock.ts";
import { openUdp, type UdpSocket } from "../../../src/io/udp/udp.ts";

const LOOPBACK = "127.0.0.1";

/** The one pipe between this process and another one, on loopback, that carries QUIC and nothing else. */
export class UdpPipes implements Disposable {
  readonly plane: Pipes;
  readonly #udp: UdpSocket;
  #to: number;
  #user: PipeUser | undefined;

  constructor(udp: UdpSocket, to: number) {
    this.#udp = udp;
    this.#to = to;
    this.plane = {
      open: (_peer, _service, user) => {
        this.#user = user;
        setImmediate(() => user.opened?.());
        return 1;
      },
      send: (_pipe, _flow, datagram) => {
        this.#udp.sendTo([datagram], this.#to, LOOPBACK);
        return now();
      },
      close: () => {},
    };
  }

  get port(): number {
    return this.#udp.port;
  }

  /** What the other process's pipe is for. */
  accepted(user: PipeUser): void {
    this.#user = user;
  }

  deliver(datagram: Uint8Array, from: number): void {
    if (this.#to === 0) this.#to = from;
    this.#user?.deliver(FLOW_QUIC, [datagram]);
  }

  [Symbol.dispose](): void {
    this.#udp[Symbol.dispose]();
  }
}

/** `to`: the other process's port; 0: whoever sends first. */
export async function udpPipes(to: number): Promise<UdpPipes> {
  let pipes: UdpPipes | undefined;
  const udp = await openUdp({
    host: LOOPBACK,
    port: 0,
    onDatagram: (datagram, from) => pipes?.deliver(datagram, from),
    onDrop: () => {},
    onSent: () => {},
    onError: () => {},
  });
  pipes = new UdpPipes(udp, to);
  return pipes;
}
