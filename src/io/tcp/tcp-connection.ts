import type { Socket, SocketHandler } from "bun";
import { canonicalIp } from "../../core/net/ip.ts";
import { setResetOnClose } from "../system/sockopt.ts";

/** What the owner of a TCP connection hears. After `closed` nothing comes any more. */
export interface TcpHandlers {
  /** The receiver's to keep. May come once more after `pause`, when the peer has broken the connection. */
  data(chunk: Uint8Array): void;
  /** The peer sends no more; this end may still write. */
  ended(): void;
  /** `write` took less than everything, and may be called again. */
  drained(): void;
  /** Undefined: both ends had sent everything. Else the connection broke, or was `reset` by this end. */
  closed(failure: Error | undefined): void;
}

type TcpSocket = Socket<TcpConnection>;

/** Dead peers are noticed after this much silence and some unanswered questions. */
const KEEP_ALIVE_MS = 60_000;

/**
 * One TCP connection, at either side, that tells a connection that broke from one that was ended: FIN and RST each way.
 * The peer hears FIN only of `end`: where this process is killed, the kernel tells it RST (not where the platform has no
 * such option). What comes in waits in the kernel until `start`, and while it is paused.
 */
export class TcpConnection {
  #socket: TcpSocket | undefined;
  #handlers: TcpHandlers | undefined;
  #isEnded = false;
  #isClosed = false;
  /** It was over before anybody listened. */
  #early: { readonly failure: Error | undefined } | undefined;
  /** Both ends' addresses, remembered because a closed socket has forgotten them. */
  remoteAddress = "";
  remotePort = 0;
  localAddress = "";
  localPort = 0;

  /** From here on `handlers` hears what happens. */
  start(handlers: TcpHandlers): void {
    this.#handlers = handlers;
    if (this.#early !== undefined) handlers.closed(this.#early.failure);
    else this.#socket?.resume();
  }

  /** How many bytes of `chunk` the system took; the rest is for after `drained`. */
  write(chunk: Uint8Array): number {
    return this.#isClosed || this.#isEnded ? 0 : Math.max(0, this.#socket?.write(chunk) ?? 0);
  }

  pause(): void {
    if (!this.#isClosed) this.#socket?.pause();
  }

  resume(): void {
    if (!this.#isClosed) this.#socket?.resume();
  }

  /** FIN, behind all that was written. */
  end(): void {
    if (this.#isClosed || this.#isEnded) return;
    this.#isEnded = true;
    this.#setResetOnClose(false);
    // Not Bun's `end`: after it `terminate` does nothing any more.
    this.#socket?.shutdown();
  }

  /** RST: nobody may take this for an end. */
  reset(): void {
    if (this.#isClosed) return;
    // Before the socket closes cleanly in its own eyes.
    this.gone(new Error("reset by this end"));
    this.#socket?.terminate();
  }

  /** The socket is there. */
  opened(socket: TcpSocket): void {
    this.#socket = socket;
    this.remoteAddress = canonicalIp(socket.remoteAddress) ?? "";
    this.remotePort = socket.remotePort;
    this.localAddress = canonicalIp(socket.localAddress) ?? "";
    this.localPort = socket.localPort;
    socket.pause();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#setResetOnClose(true);
  }

  received(chunk: Uint8Array): void {
    if (!this.#isClosed) this.#handlers?.data(chunk);
  }

  peerEnded(): void {
    if (!this.#isClosed) this.#handlers?.ended();
  }

  drained(): void {
    if (!this.#isClosed) this.#handlers?.drained();
  }

  gone(failure: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Bun closes without an error once both ends have sent FIN, and only then is it an end.
    const why = failure ?? (this.#isEnded ? undefined : new Error("closed without an end"));
    if (this.#handlers === undefined) this.#early = { failure: why };
    else this.#handlers.closed(why);
  }

  #setResetOnClose(on: boolean): void {
    // Undocumented, and -1 where the platform has none.
    const { fd = -1 } = (this.#socket ?? {}) as { fd?: number };
    if (fd >= 0) setResetOnClose(fd, on);
  }
}

/** What Bun calls for each socket whose `data` is a `TcpConnection`. */
export const TCP_SOCKET: SocketHandler<TcpConnection> = {
  data: (socket, chunk) => socket.data.received(chunk),
  end: (socket) => socket.data.peerEnded(),
  drain: (socket) => socket.data.drained(),
  close: (socket, failure) => socket.data.gone(failure),
  // What breaks a connection comes with `close`, too; without a handler it would end the process.
  error: (socket, failure) => socket.data.gone(failure),
};
