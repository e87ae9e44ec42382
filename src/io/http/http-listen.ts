import { UtError } from "../../core/error.ts";
import { bindProblem } from "../bind-problem.ts";

export type Server = Bun.Server<undefined>;

export interface HttpListenOptions {
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The config key or flag that names another address, for who cannot have this one. */
  readonly setting: string;
  fetch(request: Request, server: Server): Response | Promise<Response>;
  /** A request failed because of this program. */
  failed(error: Error): Response;
}

/** An HTTP server for requests without a body. Throws `io.bind`. */
export function listenHttp({ listen, setting, fetch, failed }: HttpListenOptions): Server {
  try {
    return Bun.serve({
      hostname: listen.host,
      port: listen.port,
      development: false,
      // Bun 1.4.5 shares the port (SO_REUSEPORT) with any other process unless told not to, once development is off.
      reusePort: false,
      // No request has a body that anybody reads.
      maxRequestBodySize: 1024,
      fetch,
      error: failed,
    });
  } catch (cause) {
    const address = `${formatHost(listen.host)}:${listen.port}`;
    throw new UtError("io.bind", `Cannot bind metrics address ${address}: ${bindProblem(cause)}; set ${setting}`, {
      cause,
      details: { address },
    });
  }
}

/** A host as it stands in a URL. */
export function formatHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
