import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { acceptKey } from "../../../src/core/websocket/accept-key.ts";
import { FrameReader } from "../../../src/core/websocket/frame-reader.ts";
import { concat, utf8 } from "../../bytes.ts";
import { serverIdentity } from "./identities.ts";

/** An HTTPS server that answers each request as the test says, and then sends what the test says. */
export interface ScriptedHttps extends AsyncDisposable {
  readonly port: number;
  /** Heads of the requests that came, in order. */
  readonly requests: readonly string[];
  readonly sockets: readonly TLSSocket[];
  /** Of the last connection that opened a WebSocket: what came in frames, and the code of the client's close frame. */
  readonly stream: Uint8Array;
  readonly closeCode: number | undefined;
}

/** The head that opens a WebSocket. */
export function switching(key: string, subprotocol = "ut.v1"): string {
  const fields = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${acceptKey(key)}`];
  return ["HTTP/1.1 101 Switching Protocols", ...fields, `Sec-WebSocket-Protocol: ${subprotocol}`, "", ""].join("\r\n");
}

/** `answer` gets the request's Sec-WebSocket-Key; undefined: it says nothing. "": it closes. */
export async function scriptedHttps(answer: (key: string) => string | Uint8Array | undefined): Promise<ScriptedHttps> {
  const requests: string[] = [];
  const sockets: TLSSocket[] = [];
  let frames: Uint8Array[] = [];
  const { ca, cert, key } = serverIdentity;
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (socket) => {
    let head: string | undefined = "";
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (head === undefined) {
        frames.push(chunk);
        return;
      }
      head += chunk.toString("latin1");
      if (!head.endsWith("\r\n\r\n")) return;
      requests.push(head);
      const said = answer(/^Sec-WebSocket-Key: (.*)\r$/m.exec(head)?.[1] ?? "");
      head = undefined;
      frames = [];
      if (said === "") socket.end();
      else if (said !== undefined) socket.write(typeof said === "string" ? utf8(said) : said);
    });
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const read = () => {
    const reader = new FrameReader(true);
    const seen = { stream: [] as Uint8Array[], closeCode: undefined as number | undefined };
    reader.feed(concat(frames));
    for (let event = reader.next(); event !== "need-more" && event !== "error"; event = reader.next()) {
      if (event === "data") seen.stream.push(reader.payload.slice());
      else if (event === "close") seen.closeCode = (reader.payload[0] ?? 0) * 256 + (reader.payload[1] ?? 0);
    }
    return seen;
  };
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    get stream() {
      return concat(read().stream);
    },
    get closeCode() {
      return read().closeCode;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
