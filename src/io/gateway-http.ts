import { request as httpRequest, type IncomingMessage } from "node:http";
import { errorMessage } from "../core/error.ts";
import type { GatewayProblem, GatewayRequest, GatewayResult } from "../core/portmap/protocol.ts";

/** The longest description of a real router that is known here has 20 KB. */
export const MAX_BODY_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 8 * 1024;
/** Of one gateway at once; one more ends the oldest, for which nobody waits by then. */
export const MAX_REQUESTS = 4;

/** HTTP with one gateway. Disposal ends what is under way. */
export interface GatewayHttp extends Disposable {
  /** Never rejects. */
  request(request: GatewayRequest): Promise<GatewayResult>;
}

/**
 * Makes the requests of a UPnP machine, to `gateway` and to nobody else: a request names no host, the address is this
 * one, a redirection is handed back as the answer that it is, and no proxy comes in between.
 *
 * `node:http` and not `fetch`, which Bun sends through HTTP_PROXY even with `proxy: ""`, inflates and follows; with no
 * agent of its own it knows nothing of proxies, and the endless header, chunk or interim answer of a hostile gateway
 * ends in its parser.
 *
 * @param gateway an IP address
 * @param localAddress where connections come from, so that they leave by the interface that leads to the gateway
 */
export function gatewayHttp(gateway: string, localAddress?: string): GatewayHttp {
  const running: Exchange[] = [];
  return {
    async request(request) {
      if (running.length >= MAX_REQUESTS) running[0]?.end("timeout", "too many other requests");
      const exchange = new Exchange(gateway, localAddress, request);
      running.push(exchange);
      const result = await exchange.result;
      running.splice(running.indexOf(exchange), 1);
      return result;
    },
    [Symbol.dispose]() {
      for (const exchange of running) exchange.end("unreachable", "no longer wanted");
    },
  };
}

class Exchange {
  readonly result: Promise<GatewayResult>;
  readonly #settle: (result: GatewayResult) => void;
  readonly #stop = new AbortController();
  readonly #timer: Timer;

  constructor(gateway: string, localAddress: string | undefined, request: GatewayRequest) {
    const { promise, resolve } = Promise.withResolvers<GatewayResult>();
    this.result = promise;
    this.#settle = resolve;
    const { method, port, path, headers, body, timeoutMs } = request;
    this.#timer = setTimeout(() => this.end("timeout", `no whole answer within ${timeoutMs} ms`), timeoutMs);
    try {
      const outgoing = httpRequest({
        host: gateway,
        port,
        method,
        path,
        // Without an agent: one connection a request, and no proxy that the environment names.
        agent: false,
        headers: body === "" ? headers : { ...headers, "Content-Length": Buffer.byteLength(body) },
        maxHeaderSize: MAX_HEADER_BYTES,
        signal: this.#stop.signal,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      outgoing.on("response", (response) => this.#read(response));
      // Nothing of ours expects an interim answer, and they have no end of their own.
      outgoing.on("continue", () => this.end("not-http", "an interim answer that nobody asked for"));
      outgoing.on("information", () => this.end("not-http", "an interim answer that nobody asked for"));
      outgoing.on("error", (error) => this.#fail(error));
      outgoing.on("close", () => this.end("unreachable", "the connection ended before the answer did"));
      outgoing.end(body);
    } catch (error) {
      this.end("not-http", errorMessage(error));
    }
  }

  /** The first end counts. */
  end(kind: GatewayProblem, message: string): void {
    this.#finish({ ok: false, kind, message });
  }

  #read(response: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) this.end("too-large", `an answer of more than ${MAX_BODY_BYTES / 1024} KiB`);
      else chunks.push(chunk);
    });
    // "aborted", behind the end of the connection, which was told already.
    response.on("error", () => {});
    response.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      this.#finish({ ok: true, status: response.statusCode ?? 0, body });
    });
  }

  #fail(error: Error): void {
    const { code = "" } = error as NodeJS.ErrnoException;
    const unreachable = /^E(CONN|HOST|NET|TIMEDOUT|ADDR|PIPE)/.test(code);
    this.end(unreachable ? "unreachable" : "not-http", errorMessage(error));
  }

  #finish(result: GatewayResult): void {
    clearTimeout(this.#timer);
    this.#settle(result);
    this.#stop.abort();
  }
}
