import { errorMessage } from "../../core/error.ts";

export type PortProtocol = "udp" | "tcp";

/** Why a port cannot be had: the system's code (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, …) and words. */
export interface BindProblem {
  readonly code: string;
  readonly message: string;
}

/** Binds a port and lets it go at once; undefined when that worked. */
export async function tryBind(protocol: PortProtocol, host: string, port: number): Promise<BindProblem | undefined> {
  try {
    if (protocol === "udp") (await Bun.udpSocket({ hostname: host, port })).close();
    else Bun.listen({ hostname: host, port, socket: { data() {}, open: (socket) => socket.terminate() } }).stop(true);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return { code, message: errorMessage(error) };
  }
}
