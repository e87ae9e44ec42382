import { errorMessage, UtError } from "../../core/error.ts";
import { ipFamily } from "../../core/net/ip.ts";
import { TCP_SOCKET, TcpConnection } from "./tcp-connection.ts";

/** Why a TCP connection did not come about, as far as the system tells. */
export type DialFailure = "refused" | "network-unreachable" | "host-unreachable" | "not-permitted" | "timed-out";

/**
 * A TCP connection to an address, never a name; it waits for its `start`. When `signal` fires, the dial is given up, or
 * the connection reset. Throws `io.connect`; `details.failure` is a `DialFailure`. `settled` is told when the system is
 * done with it: one that was given up holds its socket until then, which may be two minutes.
 */
export async function dialTcp(
  address: string,
  port: number,
  signal: AbortSignal,
  settled: () => void = () => {},
): Promise<TcpConnection> {
  const connection = new TcpConnection();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => {
    connection.reset();
    reject(failed(address, port, "timed-out", signal.reason));
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  const dialled = Bun.connect<TcpConnection>({
    hostname: address,
    port,
    allowHalfOpen: true,
    data: connection,
    socket: {
      ...TCP_SOCKET,
      open(socket) {
        if (signal.aborted) socket.terminate();
        else connection.opened(socket);
      },
    },
  });
  // The failure of a dial that was given up is nobody's.
  for (const unheard of [dialled, aborted]) unheard.catch(() => {});
  void dialled.then(settled, settled);
  try {
    await Promise.race([aborted, dialled]);
    return connection;
  } catch (cause) {
    signal.removeEventListener("abort", abort);
    throw cause instanceof UtError ? cause : failed(address, port, await failureOf(cause, address, port), cause);
  }
}

/** Bun calls nearly every failure ECONNREFUSED; a connected UDP socket asks the routes without sending anything. */
async function failureOf(cause: unknown, address: string, port: number): Promise<DialFailure> {
  try {
    const hostname = ipFamily(address) === 4 ? "0.0.0.0" : "::";
    const probe = await Bun.udpSocket({ hostname, connect: { hostname: address, port }, socket: { error() {} } });
    probe.close();
    return codeOf(cause) === "EACCES" ? "not-permitted" : "refused";
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENETUNREACH" || code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") return "network-unreachable";
    if (code === "EHOSTUNREACH" || code === "EINVAL") return "host-unreachable";
    return code === "EACCES" ? "not-permitted" : "refused";
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

function failed(address: string, port: number, failure: DialFailure, cause: unknown): UtError {
  const message = `Cannot connect to ${address} port ${port}: ${failure}: ${errorMessage(cause)}`;
  return new UtError("io.connect", message, { cause, details: { failure } });
}
