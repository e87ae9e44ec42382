import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { MAX_CTRL_BYTES } from "../../../src/core/wire/control.ts";
import { PduDecoder, TYPE_DATA } from "../../../src/core/wire/pdu.ts";
import { serverIdentity } from "./identities.ts";
import { dataPdu } from "./raw-lane.ts";

/**
 * A server of another make, over Node's own TLS: reads DATA, passes over all control without a word, sends plain DATA.
 * It never answers HELLO and knows no GOODBYE.
 */
export interface BareServer extends AsyncDisposable {
  readonly port: number;
  /** In the order of arrival over all connections. */
  readonly received: Uint8Array[];
  readonly sockets: readonly TLSSocket[];
  /** Stop reading, until it is set again. */
  reading: boolean;
  /** Send `datagram` over any connection that is up. */
  send(datagram: Uint8Array): void;
}

export interface BareServerOptions {
  readonly echo?: boolean;
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
}

export async function bareServer(options: BareServerOptions = {}): Promise<BareServer> {
  const { echo = false, maxVersion = "TLSv1.3" } = options;
  const received: Uint8Array[] = [];
  const sockets: TLSSocket[] = [];
  let reading = true;
  const { ca, cert, key } = serverIdentity;
  const server = createServer({ ca, cert, key, maxVersion, requestCert: true, rejectUnauthorized: true }, (socket) => {
    const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.splice(sockets.indexOf(socket), 1));
    socket.on("data", (chunk: Buffer) => {
      decoder.feed(chunk);
      while (decoder.next() === "pdu") {
        if (decoder.type !== TYPE_DATA) continue;
        const datagram = decoder.payload.slice();
        received.push(datagram);
        if (echo) socket.write(dataPdu(datagram));
      }
    });
    if (!reading) socket.pause();
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    sockets,
    get reading() {
      return reading;
    },
    set reading(on) {
      reading = on;
      for (const socket of sockets) {
        if (on) socket.resume();
        else socket.pause();
      }
    },
    send: (datagram) => void sockets[0]?.write(dataPdu(datagram)),
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
