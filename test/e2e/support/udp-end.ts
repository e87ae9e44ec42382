import { openUdp, type UdpSocket } from "../../../src/io/udp/udp.ts";
import { until } from "./until.ts";

/** Sent in every datagram of `marked`, so that a test can look for payload where there should be none. */
export const PAYLOAD_MARK = "utpayloadmark";

/** One UDP end at the edge of a tunnel: plays WireGuard, notes what comes. */
export interface UdpEnd extends Disposable {
  readonly port: number;
  readonly received: Uint8Array[];
  /** Port of each sender, in the order of `received`. */
  readonly fromPorts: number[];
  sendTo(port: number, ...datagrams: Uint8Array[]): void;
  /** Wait until so many have come in all. */
  count(packets: number, timeoutMs?: number): Promise<void>;
}

/** `echo` sends everything back to where it came from. */
export async function udpEnd(options: { echo?: boolean; host?: string; port?: number } = {}): Promise<UdpEnd> {
  const { echo = false, host = "127.0.0.1", port = 0 } = options;
  const received: Uint8Array[] = [];
  const fromPorts: number[] = [];
  const socket: UdpSocket = await openUdp({
    host,
    port,
    onDatagram(datagram, fromPort, address) {
      received.push(datagram);
      fromPorts.push(fromPort);
      if (echo) socket.sendTo([datagram], fromPort, address);
    },
    onDrop(reason, count) {
      // The edge of a test must never be what loses a datagram.
      if (reason !== "closed") throw new Error(`a test's UDP end dropped ${count}: ${reason}`);
    },
    onSent() {},
  });
  return {
    port: socket.port,
    received,
    fromPorts,
    sendTo: (to, ...datagrams) => socket.sendTo(datagrams, to, host),
    count: (packets, timeoutMs) =>
      until(`${packets} datagrams (${received.length} came)`, () => received.length >= packets, timeoutMs),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

/** A datagram that shows its number and whose payload is known by sight: u32, then the mark, then filling. */
export function marked(number: number, length = 64): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, 4));
  new DataView(bytes.buffer).setUint32(0, number);
  for (let i = 4; i < bytes.length; i++) bytes[i] = PAYLOAD_MARK.charCodeAt((i - 4) % PAYLOAD_MARK.length);
  return bytes;
}
