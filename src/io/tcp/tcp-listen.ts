import { UtError } from "../../core/error.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { bindProblem } from "../bind-problem.ts";
import { TCP_SOCKET, TcpConnection } from "./tcp-connection.ts";

export interface TcpListener extends Disposable {
  readonly host: string;
  readonly port: number;
  /** Accept no more; what is open stays. */
  stop(): void;
}

/** Listen for TCP connections; each waits for its `start`. Throws `io.bind`, with `key` as what to change. */
export function listenTcp(
  { host, port, key }: { readonly host: string; readonly port: number; readonly key: string },
  accept: (connection: TcpConnection) => void,
): TcpListener {
  try {
    const listener = Bun.listen<TcpConnection>({
      hostname: host,
      port,
      allowHalfOpen: true,
      socket: {
        ...TCP_SOCKET,
        open(socket) {
          socket.data = new TcpConnection();
          socket.data.opened(socket);
          accept(socket.data);
        },
      },
    });
    return {
      host,
      port: listener.port,
      stop: () => listener.stop(false),
      [Symbol.dispose]: () => listener.stop(true),
    };
  } catch (cause) {
    throw new UtError(
      "io.bind",
      `Cannot listen on TCP ${formatEndpoint({ address: host, port })}: ${bindProblem(cause)}; set ${key}`,
      {
        cause,
        details: { host, port },
      },
    );
  }
}
