import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { decodeControl, encodeControl, type Hello, MAX_CTRL_BYTES } from "../../../src/core/wire/control.ts";
import { encodeCtrl, HEADER_BYTES, PduDecoder } from "../../../src/core/wire/pdu.ts";
import { decodeSignal, encodeSignal, type Signal, type SignalInput } from "../../../src/core/wire/signal.ts";
import { serverIdentity } from "./identities.ts";

/** The server's side of control connections, by hand. */
export interface ControlServer extends AsyncDisposable {
  readonly port: number;
  readonly hellos: readonly Hello[];
  readonly signals: readonly Signal[];
  /** How many connections there were. */
  readonly accepted: number;
  /** Over the connection that came last. */
  send(signal: SignalInput): void;
  goodbye(reason: string): void;
  bytes(bytes: Uint8Array): void;
  /** End it without a word. */
  cut(): void;
}

/** `isMute`: it answers no greeting. */
export async function controlServer(options: { readonly isMute?: boolean } = {}): Promise<ControlServer> {
  const hellos: Hello[] = [];
  const signals: Signal[] = [];
  const open = new Set<TLSSocket>();
  let accepted = 0;
  let last: TLSSocket | undefined;
  const write = (payload: Uint8Array) => {
    const pdu = new Uint8Array(HEADER_BYTES + payload.length);
    encodeCtrl(pdu, 0, payload);
    last?.write(pdu);
  };
  const { ca, cert, key } = serverIdentity;
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (socket) => {
    accepted += 1;
    last = socket;
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
    socket.on("data", (chunk: Buffer) => {
      decoder.feed(chunk);
      while (decoder.next() === "pdu") {
        const control = decodeControl(decoder.payload);
        const signal = decodeSignal(decoder.payload);
        if (signal.ok) signals.push(signal.signal);
        if (!control.ok || control.message.type !== "hello") continue;
        hellos.push(control.message);
        const { session_id } = control.message;
        if (!options.isMute) write(encodeControl({ type: "hello_ack", session_id, epoch: 1 }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hellos,
    signals,
    get accepted() {
      return accepted;
    },
    send: (signal) => write(encodeSignal(signal)),
    goodbye: (reason) => write(encodeControl({ type: "goodbye", reason })),
    bytes: (bytes) => void last?.write(bytes),
    cut: () => void last?.destroy(),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
