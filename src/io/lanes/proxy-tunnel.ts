import { UtError } from "../../core/error.ts";
import { type ConnectTarget, connectRequest, judgeConnect, MAX_CONNECT_HEAD_BYTES } from "../../core/http/connect.ts";
import { HeadReader, parseResponse } from "../../core/http/head.ts";

/** An HTTP proxy that lanes go through. */
export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
  /** `user:password`, never to be logged. */
  readonly credentials?: string | undefined;
}

/** What the proxy's bytes have come to: more are wanted, the tunnel is there, or it never will be. */
export type TunnelProgress = "waiting" | "through" | UtError;

/** One request for a tunnel through a proxy (RFC 9110 §9.3.6), up to the proxy's answer. */
export class ProxyTunnel {
  readonly request: Uint8Array;
  readonly #target: ConnectTarget;
  readonly #credentials: string | undefined;
  readonly #reader = new HeadReader(MAX_CONNECT_HEAD_BYTES);

  constructor(target: ConnectTarget, credentials: string | undefined) {
    this.#target = target;
    this.#credentials = credentials;
    this.request = connectRequest(target, credentials);
  }

  /** Bytes from the proxy at `remote`. */
  received(chunk: Uint8Array, remote: string): TunnelProgress {
    const reading = this.#reader.feed(chunk);
    if (reading.state === "need-more") return "waiting";
    const answer = reading.state === "whole" ? parseResponse(reading.text) : undefined;
    if (reading.state === "bad" || answer === undefined)
      return this.error(remote, "its answer is not HTTP; check that tcp.proxy is an HTTP proxy");
    const problem = judgeConnect(answer, this.#target, this.#credentials);
    if (problem !== undefined) return this.error(remote, problem);
    // A TLS server waits for its client: whatever this is, it comes from in between.
    if (reading.rest.length > 0) return this.error(remote, "it sent bytes of its own into the tunnel");
    return "through";
  }

  /** Why the proxy at `remote` is of no use. */
  error(remote: string, detail: string): UtError {
    return new UtError("proxy.refused", `Cannot get through the proxy at ${remote}: ${detail}`, {
      details: { remote },
    });
  }
}
