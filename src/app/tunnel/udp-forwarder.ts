import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { LOOPBACK } from "../loopback.ts";

export interface UdpForwarder extends Disposable {
  readonly port: number;
}

/**
 * What `ut` is measured against: one process that hands datagrams on to `targetPort`, and the answers back to whoever
 * sent last. The same sockets and the same batches as both roles use, and nothing else.
 */
export async function openUdpForwarder(targetPort: number): Promise<UdpForwarder> {
  let peer = { port: 0, address: "" };
  const front: UdpSocket = await openUdp({
    host: LOOPBACK,
    port: 0,
    onDatagram(datagram, port, address) {
      if (port !== peer.port || address !== peer.address) peer = { port, address };
      up.add(datagram);
    },
    onDrop: () => {},
    onSent: () => {},
  });
  const back = await openUdp({
    host: LOOPBACK,
    port: 0,
    connect: { host: LOOPBACK, port: targetPort },
    onDatagram: (datagram) => down.add(datagram),
    onDrop: () => {},
    onSent: () => {},
  });
  const up = new Batch((datagrams) => back.send(datagrams));
  const down = new Batch((datagrams) => front.sendTo(datagrams, peer.port, peer.address));
  return {
    port: front.port,
    [Symbol.dispose]() {
      front[Symbol.dispose]();
      back[Symbol.dispose]();
    },
  };
}

/** What one turn of the event loop brought, handed on together. */
class Batch {
  readonly #datagrams: Uint8Array[] = [];
  readonly #send: (datagrams: readonly Uint8Array[]) => void;

  constructor(send: (datagrams: readonly Uint8Array[]) => void) {
    this.#send = send;
  }

  add(datagram: Uint8Array): void {
    if (this.#datagrams.push(datagram) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#send(this.#datagrams);
    this.#datagrams.length = 0;
  }
}
