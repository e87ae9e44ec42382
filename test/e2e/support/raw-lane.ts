import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { MAX_CTRL_BYTES } from "../../../src/core/wire/control.ts";
import { encodeCtrl, encodeData, HEADER_BYTES, PduDecoder, TYPE_CTRL } from "../../../src/core/wire/pdu.ts";
import type { TlsIdentity } from "../../../src/io/lanes/tls-lane.ts";
import { utf8 } from "../../bytes.ts";
import { until } from "./until.ts";

/**
 * A TLS connection to a server over Node's own TLS, that says exactly the bytes a test wants: a hostile client, or one
 * of another make.
 */
export interface RawLane extends Disposable {
  readonly socket: TLSSocket;
  /** `address:port` as the server sees it. */
  readonly local: string;
  /** What the server said, decoded. */
  readonly controls: Record<string, unknown>[];
  readonly datagrams: Uint8Array[];
  readonly isClosed: boolean;
  send(...parts: Uint8Array[]): void;
  hello(fields?: Record<string, unknown>): void;
  /** Read on, where it was opened `paused`. */
  resume(): void;
  closed(): Promise<void>;
}

export interface RawLaneOptions {
  readonly port: number;
  readonly identity: Partial<TlsIdentity>;
  readonly host?: string;
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
  /** Leave what the server sends in the socket. */
  readonly paused?: boolean;
  /** Do not close when the server does. */
  readonly keepOpen?: boolean;
}

export async function rawLane(options: RawLaneOptions): Promise<RawLane> {
  const { port, identity, host = "127.0.0.1", maxVersion = "TLSv1.3", paused = false, keepOpen = false } = options;
  const socket = connect({ ...identity, host, port, maxVersion, allowHalfOpen: keepOpen } as ConnectionOptions);
  const controls: Record<string, unknown>[] = [];
  const datagrams: Uint8Array[] = [];
  const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  let isSecure = false;
  let isClosed = false;
  const read = (chunk: Buffer) => {
    decoder.feed(chunk);
    while (decoder.next() === "pdu") {
      if (decoder.type === TYPE_CTRL) controls.push(JSON.parse(new TextDecoder().decode(decoder.payload)));
      else datagrams.push(decoder.payload.slice());
    }
  };
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("secureConnect", () => {
    isSecure = true;
  });
  if (!paused) socket.on("data", read);
  await until("the TLS handshake, or its end", () => isClosed || isSecure);
  const { localAddress, localPort } = socket;
  return {
    socket,
    local: `${localAddress}:${localPort}`,
    controls,
    datagrams,
    get isClosed() {
      return isClosed;
    },
    send: (...parts) => {
      for (const part of parts) socket.write(part);
    },
    hello(fields = {}) {
      socket.write(controlPdu({ ...HELLO, session_id: crypto.randomUUID(), ...fields }));
    },
    resume: () => void socket.on("data", read),
    closed: () => until("the server to close", () => isClosed),
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** A HELLO as the client of this build says it, but for the session's id. */
export const HELLO = { type: "hello", kind: "lane", lane_id: 0, node: "raw", caps: ["seq"] };

/** Any JSON as a CTRL PDU, also what this build would never send. */
export function controlPdu(message: Record<string, unknown>): Uint8Array {
  return ctrlPdu(utf8(JSON.stringify(message)));
}

/** Any bytes as a CTRL PDU. */
export function ctrlPdu(payload: Uint8Array): Uint8Array {
  const pdu = new Uint8Array(HEADER_BYTES + payload.length);
  encodeCtrl(pdu, 0, payload);
  return pdu;
}

/** One DATA PDU; plain without `seq`. */
export function dataPdu(datagram: Uint8Array, seq = -1): Uint8Array {
  const pdu = new Uint8Array(HEADER_BYTES + 4 + datagram.length);
  return pdu.subarray(0, encodeData(pdu, 0, datagram, seq));
}
