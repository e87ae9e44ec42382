import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { errorMessage, UtError } from "../../core/error.ts";

export interface TcpRelay extends AsyncDisposable {
  readonly port: number;
  /**
   * Break one connection as a router does that lost its state: both ends get a reset. Connections are named by the
   * relay's own port towards the target, which is what the target sees. False if there is none of that name.
   */
  cut(upstreamPort: number): boolean;
}

/**
 * A network of one piece: takes TCP connections on 127.0.0.1 and passes their bytes on to `target`, with backpressure
 * both ways, until somebody cuts one. Throws `io.bind`.
 */
export async function openTcpRelay(target: { readonly host: string; readonly port: number }): Promise<TcpRelay> {
  const connections = new Set<readonly [downstream: Socket, upstream: Socket]>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (downstream) => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const connection = [downstream, upstream] as const;
    connections.add(connection);
    downstream.pipe(upstream);
    upstream.pipe(downstream);
    for (const [socket, other] of [connection, [upstream, downstream] as const]) {
      // A reset is the other side's to learn about; who asked for it knows already.
      socket.on("error", () => other.resetAndDestroy());
      socket.on("close", () => connections.delete(connection));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new UtError("io.bind", `Cannot open a TCP relay on 127.0.0.1: ${errorMessage(cause)}`, { cause })),
    );
    server.listen(0, "127.0.0.1", resolve);
  });
  const breakOff = (connection: readonly Socket[]) => {
    for (const socket of connection) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut(upstreamPort) {
      const found = [...connections].find(([, upstream]) => upstream.localPort === upstreamPort);
      if (found !== undefined) breakOff(found);
      return found !== undefined;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) breakOff(connection);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
