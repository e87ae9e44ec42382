import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A proxy by hand: it answers each CONNECT as the test says, and passes bytes on only if that was an invitation. */
export interface ScriptedProxy extends AsyncDisposable {
  readonly port: number;
  /** Heads of the requests that came, in order. */
  readonly requests: readonly string[];
  readonly sockets: readonly Socket[];
}

/**
 * `answer` is what it says: one text or pieces, sent one by one. Undefined: nothing. "": it closes. A text that begins
 * with `HTTP/1.1 200` is followed by a tunnel to `target`, if there is one.
 */
export async function scriptedProxy(
  answer: string | readonly string[] | undefined,
  target?: { readonly port: number },
): Promise<ScriptedProxy> {
  const requests: string[] = [];
  const sockets: Socket[] = [];
  const serve = async (socket: Socket) => {
    const pieces = typeof answer === "string" ? [answer] : (answer ?? []);
    if (pieces[0] === "") socket.end();
    for (const piece of pieces.filter((piece) => piece !== "")) {
      socket.write(piece, "latin1");
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (target === undefined || !pieces.join("").startsWith("HTTP/1.1 200")) return;
    const upstream = connect(target.port, "127.0.0.1");
    upstream.on("error", () => socket.destroy());
    upstream.on("close", () => socket.destroy());
    socket.on("close", () => upstream.destroy());
    socket.pipe(upstream);
    upstream.pipe(socket);
  };
  const server = createServer((socket) => {
    let head = "";
    sockets.push(socket);
    socket.on("error", () => {});
    const read = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.endsWith("\r\n\r\n")) return;
      socket.off("data", read);
      requests.push(head);
      void serve(socket);
    };
    socket.on("data", read);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
