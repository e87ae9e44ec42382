import type { Socket } from "bun";
import type { CommonName } from "../../core/common-name.ts";
import { commonNameOf } from "../../core/common-name.ts";
import { errorMessage, UtError } from "../../core/error.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { canonicalIp } from "../../core/net/ip.ts";
import { now } from "../clock.ts";
import type { LaneHandlers, LaneTransport, OpenLaneHandlers } from "./lane-transport.ts";

/** PEM texts of one node. */
export interface TlsIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** DESIGN "Safety": how long a TCP connection may take to become a lane. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How long a peer may take to close its side after ours; then the connection is cut. */
export const END_LINGER_MS = 5_000;

/** What an HTTPS client and server agree on (RFC 7301), as it stands in their hellos: a length and a name. */
export const HTTP_ALPN = "\x08http/1.1";

export type LaneSocket = Socket<TlsLane>;

/**
 * One TLS connection as a lane transport, from TCP connect to the end, at either side. Bun calls its socket handlers
 * with this object as `socket.data`; whoever dials or listens decides when the handshake is good.
 *
 * What its owner hears is exactly: `opened` (dialled lanes), then `data` and `drained`, then `closed` once. An
 * exception of the owner ends this lane with an error and no other; the process goes on.
 */
export class TlsLane implements LaneTransport {
  /** Remembered, because a closed socket has forgotten it. Through a proxy it is `server via proxy`. */
  remote = "";
  peerCn = "";
  peerNotAfter: Date | undefined;
  fd: number | undefined;
  /** Why it ended, if not by request; the first reason is the one that counts. */
  error: UtError | undefined;
  closed = false;
  /** The handshake is over and good. */
  isReady = false;
  readonly #startedAt = now();
  #socket: LaneSocket | undefined;
  #handlers: (OpenLaneHandlers & Partial<LaneHandlers>) | undefined;
  #deadline: Timer | undefined;
  #ended = false;

  get ageMs(): number {
    return now() - this.#startedAt;
  }

  /** TCP is up. `late` is called unless the lane is ready within `withinMs`. */
  connected(socket: LaneSocket, withinMs: number, late: () => void, remote = remoteOf(socket)): void {
    this.#socket = socket;
    this.remote = remote;
    this.expect(withinMs, late);
  }

  /** TLS is up and the peer's certificate has been judged; without a `cn` it was not found good. */
  ready(socket: LaneSocket, cn: CommonName | undefined): void {
    this.inTime();
    this.isReady = true;
    this.peerCn = cn?.ok ? cn.cn : "";
    this.peerNotAfter = notAfterOf(socket);
    // Undocumented, and -1 where the platform has none.
    const fd = (socket as unknown as { fd?: number }).fd;
    this.fd = typeof fd === "number" && fd >= 0 ? fd : undefined;
  }

  /** `late` is called unless what the peer is to do now has come `inTime`. */
  expect(withinMs: number, late: () => void): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(late, withinMs);
  }

  inTime(): void {
    clearTimeout(this.#deadline);
  }

  /** From here on `handlers` hears what happens. */
  adopt(handlers: OpenLaneHandlers & Partial<LaneHandlers>): void {
    this.#handlers = handlers;
  }

  opened(): void {
    this.#guard(() => this.#handlers?.opened?.(this, this.ageMs));
  }

  received(chunk: Uint8Array): void {
    this.#guard(() => this.#handlers?.data(chunk));
  }

  drained(): void {
    this.#guard(() => this.#handlers?.drained());
  }

  /** End it now, because of `error`. */
  fail(error: UtError): void {
    this.error ??= error;
    this.terminate();
  }

  /** The socket is gone. */
  gone(error: UtError | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.error ??= error;
    clearTimeout(this.#deadline);
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#guard(() => handlers?.closed(this.error));
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    return this.closed ? 0 : Math.max(0, this.#socket?.write(bytes, start, end - start) ?? 0);
  }

  end(): void {
    if (this.closed || this.#ended) return;
    this.#ended = true;
    // Not Bun's `end`: after it `terminate` does nothing any more, and `close` is not heard until the peer closes.
    this.#socket?.shutdown();
    // A peer that never closes its side would keep the socket, and the file descriptor, for ever.
    if (!this.closed) this.expect(END_LINGER_MS, () => this.terminate());
  }

  terminate(): void {
    if (!this.closed) this.#socket?.terminate();
  }

  /** Bun would hand an exception to the `error` handler, or end the process where there is none. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (cause) {
      const where = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      this.fail(new UtError("lane.closed", `Lane given up after an internal error: ${where}`, { cause }));
    }
  }
}

export function peerName(socket: LaneSocket): CommonName {
  return commonNameOf(socket.getPeerCertificate()?.subject as { CN?: string | string[] } | undefined);
}

function notAfterOf(socket: LaneSocket): Date | undefined {
  const time = Date.parse(socket.getPeerCertificate()?.valid_to ?? "");
  return Number.isNaN(time) ? undefined : new Date(time);
}

/** A connection that worked until the system ended it. */
export function lost(error: Error): UtError {
  return new UtError("lane.closed", `Connection lost: ${errorMessage(error)}`, { cause: error });
}

/** `address:port` of the other end, IPv6 in brackets, IPv4 as such on a socket that takes both. */
function remoteOf({ remoteAddress, remotePort }: LaneSocket): string {
  return formatEndpoint({ address: canonicalIp(remoteAddress) ?? remoteAddress, port: remotePort });
}
