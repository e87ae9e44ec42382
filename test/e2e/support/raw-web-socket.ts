import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { FrameReader } from "../../../src/core/websocket/frame-reader.ts";
import type { TlsIdentity } from "../../../src/io/lanes/tls-lane.ts";
import { concat, utf8 } from "../../bytes.ts";
import { controlPdu, HELLO } from "./raw-lane.ts";
import { until } from "./until.ts";

/** A TLS connection to an HTTPS server, over Node's own TLS, that says exactly the bytes a test wants. */
export interface RawHttps extends Disposable {
  readonly socket: TLSSocket;
  readonly local: string;
  /** Everything that came. */
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly isClosed: boolean;
  send(...parts: (string | Uint8Array)[]): void;
  closed(): Promise<void>;
}

export async function rawHttps(port: number, identity: Partial<TlsIdentity> = {}): Promise<RawHttps> {
  const { ca, cert, key } = identity;
  const options = { ca, cert, key, host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] };
  const socket = connect(options as ConnectionOptions);
  const chunks: Uint8Array[] = [];
  let isSecure = false;
  let isClosed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("secureConnect", () => {
    isSecure = true;
  });
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await until("the TLS handshake, or its end", () => isClosed || isSecure);
  return {
    socket,
    local: `${socket.localAddress}:${socket.localPort}`,
    get bytes() {
      return concat(chunks);
    },
    get text() {
      return new TextDecoder("latin1").decode(concat(chunks));
    },
    get isClosed() {
      return isClosed;
    },
    send: (...parts) => void socket.write(concat(parts.map((part) => (typeof part === "string" ? utf8(part) : part)))),
    closed: () => until("the server to close", () => isClosed),
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** A request as the client of this build makes it. */
export function upgradeText(path = "/ut"): string {
  const head = ["Host: ut.test", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const rest = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: ut.v1"];
  return [`GET ${path} HTTP/1.1`, ...head, ...rest, "", ""].join("\r\n");
}

/** One masked frame: its first byte (flags and opcode), its payload. */
export function clientFrame(first: number, payload: Uint8Array): Uint8Array {
  const key = [1, 2, 3, 4];
  const { length } = payload;
  const size = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : [127, ...u64(length)];
  const [short = 0, ...long] = size;
  return concat([
    Uint8Array.of(first, 0x80 | short, ...long, ...key),
    payload.map((byte, i) => byte ^ (key[i % 4] ?? 0)),
  ]);
}

/** A WebSocket that is open, and what came over it. */
export interface RawWebSocket extends RawHttps {
  /** The stream inside binary frames. */
  readonly stream: Uint8Array;
  readonly pongs: readonly string[];
  /** Of the server's close frame. */
  readonly closeCode: number | undefined;
  hello(): void;
}

export async function rawWebSocket(port: number, identity: Partial<TlsIdentity>, path = "/ut"): Promise<RawWebSocket> {
  const https = await rawHttps(port, identity);
  https.send(upgradeText(path));
  await until("an answer", () => https.text.includes("\r\n\r\n"));
  const read = () => {
    const reader = new FrameReader(false);
    const seen = { stream: [] as Uint8Array[], pongs: [] as string[], closeCode: undefined as number | undefined };
    reader.feed(https.bytes.slice(https.text.indexOf("\r\n\r\n") + 4));
    for (let event = reader.next(); event !== "need-more" && event !== "error"; event = reader.next()) {
      const payload = reader.payload.slice();
      if (event === "data") seen.stream.push(payload);
      else if (event === "pong") seen.pongs.push(Buffer.from(payload).toString("hex"));
      else if (event === "close") seen.closeCode = (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
    }
    return seen;
  };
  return Object.defineProperties(https as RawWebSocket, {
    stream: { get: () => concat(read().stream) },
    pongs: { get: () => read().pongs },
    closeCode: { get: () => read().closeCode },
    hello: {
      value: () => https.send(clientFrame(0x82, controlPdu({ ...HELLO, session_id: crypto.randomUUID() }))),
    },
  });
}

function u64(value: number): number[] {
  return [0, 0, 0, 0, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
