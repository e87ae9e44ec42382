import { openUdp, type UdpSocket } from "../io/udp/udp.ts";
import { LOOPBACK } from "./loopback.ts";

export interface UdpEcho extends Disposable {
  readonly port: number;
  /** Everybody who has sent something, as `address:port`. */
  readonly peers: ReadonlySet<string>;
}

/** Send every datagram back to where it came from, in batches of what one turn of the event loop brought. */
export async function openUdpEcho(): Promise<UdpEcho> {
  const peers = new Set<string>();
  let batch: Uint8Array[] = [];
  let peer = { port: 0, address: "" };
  const flush = () => {
    if (batch.length > 0) udp.sendTo(batch, peer.port, peer.address);
    batch = [];
  };
  const udp: UdpSocket = await openUdp({
    host: LOOPBACK,
    port: 0,
    onDatagram(datagram, port, address) {
      if (port !== peer.port || address !== peer.address) {
        flush();
        peer = { port, address };
        peers.add(`${address}:${port}`);
      }
      if (batch.push(datagram) === 1) setImmediate(flush);
    },
    // What it loses is missing at the sender, who counts.
    onDrop: () => {},
    onSent: () => {},
  });
  return { port: udp.port, peers, [Symbol.dispose]: () => udp[Symbol.dispose]() };
}
