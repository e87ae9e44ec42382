import type { Socket, TCPSocketListener } from "bun";
import { errorMessage, UtError } from "../core/error.ts";
import { HandshakeGate } from "../core/tunnel/handshake-gate.ts";
import { now } from "./clock.ts";
import { type ResolvedAddress, race, resolveAll } from "./happy-eyeballs.ts";
import type { LaneHandlers, LaneTransport } from "./lane-transport.ts";

/** PEM texts of one node. */
export interface TlsIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** The name that the server's certificate must carry. */
  readonly serverName: string;
  readonly identity: TlsIdentity;
  readonly handshakeTimeoutMs: number;
}

/** DESIGN "Safety": what a stranger may make grow before it has shown a certificate. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

interface SocketState {
  handlers: LaneHandlers | undefined;
  transport: TlsTransport | undefined;
  startedAt: number;
  error: UtError | undefined;
  timer: Timer | undefined;
  onClosed: (() => void) | undefined;
  abandoned: boolean;
  /** Remembered, because a closed socket has forgotten it. */
  remote: string;
}

type LaneSocket = Socket<SocketState>;

/**
 * Dial one mutual-TLS lane: resolve, try all addresses (RFC 8305), handshake, verify. `handlers.opened` or
 * `handlers.closed(error)` tells how it went; `signal` ends it at any stage.
 */
export function dialTlsLane(options: DialOptions, handlers: LaneHandlers, signal: AbortSignal): void {
  connectAny(options, handlers, signal).catch((cause) => {
    handlers.closed(
      cause instanceof UtError
        ? cause
        : new UtError(
            "io.connect",
            `Cannot connect to ${options.host}:${options.port}: ${errorMessage(cause)}; check that the server runs and that its TCP port is reachable`,
            { cause, details: { host: options.host, port: options.port } },
          ),
    );
  });
}

async function connectAny(options: DialOptions, handlers: LaneHandlers, signal: AbortSignal): Promise<void> {
  const addresses = await resolveAll(options.host);
  if (signal.aborted) throw new UtError("lane.closed", "Dial given up: the node is stopping");
  const socket = await race(addresses, (address, abandoned) => connectOne(options, address, abandoned));
  // Connected; the handshake is under way and reports to the handlers from here on.
  const state = socket.data;
  if (signal.aborted) {
    socket.terminate();
    throw new UtError("lane.closed", "Dial given up: the node is stopping");
  }
  state.handlers = handlers;
  if (state.error !== undefined) throw state.error;
  const stop = () => socket.terminate();
  signal.addEventListener("abort", stop, { once: true });
  state.onClosed = () => signal.removeEventListener("abort", stop);
  if (state.transport !== undefined) handlers.opened(state.transport, now() - state.startedAt);
}

function connectOne(options: DialOptions, address: ResolvedAddress, abandoned: AbortSignal): Promise<LaneSocket> {
  const { identity } = options;
  return new Promise<LaneSocket>((resolve, reject) => {
    const state = newState();
    abandoned.addEventListener("abort", () => {
      state.abandoned = true;
    });
    Bun.connect<SocketState>({
      hostname: address.address,
      port: options.port,
      data: state,
      tls: { ...identity, serverName: options.serverName, rejectUnauthorized: true },
      socket: {
        binaryType: "uint8array",
        open(socket) {
          if (state.abandoned) {
            socket.terminate();
            return;
          }
          state.timer = setTimeout(() => {
            state.error = new UtError("tls.handshake", `No TLS handshake with ${socket.remoteAddress} within 10 s`);
            socket.terminate();
          }, options.handshakeTimeoutMs);
          resolve(socket);
        },
        handshake(socket, success, error) {
          clearTimeout(state.timer);
          if (success && !error && socket.authorized) finishHandshake(socket, state);
          else {
            state.error = handshakeError(error, socket.remoteAddress, options.serverName);
            socket.terminate();
          }
        },
        data: (_socket, chunk) => state.handlers?.data(chunk),
        drain: () => state.handlers?.drained(),
        error(socket, error) {
          state.error ??= alertError(error, socket.remoteAddress);
        },
        close(_socket, error) {
          clearTimeout(state.timer);
          closeState(state, error);
        },
        connectError(_socket, error) {
          reject(
            new UtError("io.connect", `Cannot connect to ${address.address}:${options.port}: ${error.message}`, {
              cause: error,
              details: { address: address.address, port: options.port },
            }),
          );
        },
      },
    }).catch(reject);
  });
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: TlsIdentity;
  /** CNs whose certificates are valid but not wanted. */
  readonly denyCn: readonly string[];
}

export interface ListenHandlers {
  /** An authenticated connection. Its handlers' `opened` is not called. */
  accept(transport: LaneTransport, handshakeMs: number): Omit<LaneHandlers, "opened">;
  /** A connection that did not become a lane, and why. */
  refused(reason: HandshakeFailure, remote: string, detail: string): void;
}

/** `reason` label of `ut_tls_handshake_fail_total`. */
export type HandshakeFailure =
  | "no_certificate"
  | "wrong_ca"
  | "expired"
  | "not_yet_valid"
  | "bad_cn"
  | "denied_cn"
  | "wrong_purpose"
  | "not_tls"
  | "timeout"
  | "crowded_out"
  | "closed"
  | "other";

export interface LaneListener extends Disposable {
  readonly host: string;
  readonly port: number;
  /** Stop accepting; open lanes live on. */
  stop(): void;
}

/**
 * Listen for mutual-TLS lanes. A connection reaches `accept` only with a valid certificate of our CA and one proper
 * CN; before that it counts against the limits of `HandshakeGate`. Throws `io.bind`.
 */
export function listenTlsLanes(options: ListenOptions, handlers: ListenHandlers): LaneListener {
  const gate = new HandshakeGate<LaneSocket>();
  const refuse = (socket: LaneSocket, reason: HandshakeFailure, detail: string) => {
    if (!gate.leave(socket)) return;
    handlers.refused(reason, socket.data.remote, detail);
  };
  let listener: TCPSocketListener<SocketState>;
  try {
    listener = Bun.listen<SocketState>({
      hostname: options.host,
      port: options.port,
      data: newState(),
      tls: { ...options.identity, requestCert: true, rejectUnauthorized: true },
      socket: {
        binaryType: "uint8array",
        open(socket) {
          const state = newState();
          socket.data = state;
          state.remote = remoteOf(socket);
          for (const crowded of gate.enter(socket, socket.remoteAddress)) {
            handlers.refused("crowded_out", crowded.data.remote, "too many connections without a handshake");
            crowded.terminate();
          }
          state.timer = setTimeout(() => {
            refuse(socket, "timeout", "no TLS handshake within 10 s");
            socket.terminate();
          }, HANDSHAKE_TIMEOUT_MS);
        },
        handshake(socket, success, error) {
          const state = socket.data;
          clearTimeout(state.timer);
          const failure = judge(socket, success, error, options.denyCn);
          if (failure !== undefined) {
            refuse(socket, failure.reason, failure.detail);
            socket.terminate();
            return;
          }
          gate.leave(socket);
          const transport = finishHandshake(socket, state);
          const accepted = handlers.accept(transport, now() - state.startedAt);
          state.handlers = { opened: () => {}, ...accepted };
        },
        data: (socket, chunk) => socket.data.handlers?.data(chunk),
        drain: (socket) => socket.data.handlers?.drained(),
        error(socket, error) {
          socket.data.error ??= alertError(error, socket.remoteAddress);
        },
        close(socket, error) {
          clearTimeout(socket.data.timer);
          refuse(socket, "closed", "the connection ended before its TLS handshake");
          closeState(socket.data, error);
        },
      },
    });
  } catch (cause) {
    throw new UtError(
      "io.bind",
      `Cannot listen on TCP ${options.host}:${options.port}: ${errorMessage(cause)}; set tcp.listen_addr to a free address`,
      { cause, details: { host: options.host, port: options.port } },
    );
  }
  return {
    host: options.host,
    port: listener.port,
    stop: () => listener.stop(false),
    [Symbol.dispose]: () => listener.stop(true),
  };
}

class TlsTransport implements LaneTransport {
  readonly remote: string;
  readonly peerCn: string;
  readonly fd: number | undefined;
  readonly #socket: LaneSocket;

  constructor(socket: LaneSocket) {
    this.#socket = socket;
    this.remote = remoteOf(socket);
    this.peerCn = commonName(socket) ?? "";
    // Undocumented, and -1 where the platform has none.
    const fd = (socket as unknown as { fd?: number }).fd;
    this.fd = typeof fd === "number" && fd >= 0 ? fd : undefined;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    return Math.max(0, this.#socket.write(bytes, start, end - start));
  }

  end(): void {
    this.#socket.end();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function newState(): SocketState {
  return {
    handlers: undefined,
    transport: undefined,
    startedAt: now(),
    error: undefined,
    timer: undefined,
    onClosed: undefined,
    abandoned: false,
    remote: "",
  };
}

function finishHandshake(socket: LaneSocket, state: SocketState): TlsTransport {
  socket.setNoDelay(true);
  state.transport = new TlsTransport(socket);
  state.handlers?.opened(state.transport, now() - state.startedAt);
  return state.transport;
}

function closeState(state: SocketState, error: unknown): void {
  state.onClosed?.();
  const handlers = state.handlers;
  state.handlers = undefined;
  if (handlers === undefined) {
    state.error ??= new UtError("lane.closed", "The connection closed during the TLS handshake");
    return;
  }
  handlers.closed(
    state.error ??
      (error ? new UtError("lane.closed", `Connection lost: ${errorMessage(error)}`, { cause: error }) : undefined),
  );
}

interface TlsVerdict {
  readonly reason: HandshakeFailure;
  readonly detail: string;
}

/** `success` alone means little (FINDINGS): trust only no error, an authorised socket and one proper CN. */
function judge(
  socket: LaneSocket,
  success: boolean,
  error: (Error & { code?: string }) | null,
  denyCn: readonly string[],
): TlsVerdict | undefined {
  if (!success || error || !socket.authorized) {
    const code = error?.code ?? "unauthorized";
    return { reason: REASONS[code] ?? "other", detail: error?.message ?? code };
  }
  const cn = commonName(socket);
  if (cn === undefined)
    return { reason: "bad_cn", detail: "the certificate must have exactly one CN of [A-Za-z0-9.-]{1,64}" };
  if (denyCn.includes(cn)) return { reason: "denied_cn", detail: `CN ${cn} is in tls.deny_cn` };
  return undefined;
}

/** OpenSSL's names, as Bun reports them in `error.code`. */
const REASONS: Record<string, HandshakeFailure> = {
  EPROTO: "no_certificate",
  ECONNRESET: "closed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "wrong_ca",
  UNABLE_TO_GET_ISSUER_CERT: "wrong_ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "wrong_ca",
  SELF_SIGNED_CERT_IN_CHAIN: "wrong_ca",
  DEPTH_ZERO_SELF_SIGNED_CERT: "wrong_ca",
  CERT_SIGNATURE_FAILURE: "wrong_ca",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not_yet_valid",
  INVALID_PURPOSE: "wrong_purpose",
};

const CN_FORM = /^[A-Za-z0-9.-]{1,64}$/;

function commonName(socket: LaneSocket): string | undefined {
  const cn: unknown = socket.getPeerCertificate()?.subject?.CN;
  return typeof cn === "string" && CN_FORM.test(cn) ? cn : undefined;
}

function handshakeError(error: (Error & { code?: string }) | null, remote: string, serverName: string): UtError {
  const code = error?.code ?? "";
  const remedy =
    code === "ERR_TLS_CERT_ALTNAME_INVALID"
      ? `issue the server's certificate with --host ${serverName}, or set tls.server_name to a name it carries`
      : code === "INVALID_PURPOSE"
        ? "that certificate is a client's; issue the server's with --host"
        : "check that both ends use certificates of the same CA";
  return new UtError(
    "tls.handshake",
    `Cannot trust the server at ${remote}: ${error?.message ?? "handshake failed"}; ${remedy}`,
    {
      cause: error,
      details: { code, remote },
    },
  );
}

function alertError(error: Error & { code?: string }, remote: string): UtError {
  const refusedWithout = /CERTIFICATE_REQUIRED/.test(error.message);
  return new UtError(
    refusedWithout ? "tls.handshake" : "lane.closed",
    refusedWithout
      ? `${remote} demands a client certificate; set tls.cert and tls.key`
      : `Connection to ${remote} failed: ${error.message}`,
    { cause: error, details: { remote } },
  );
}

function remoteOf(socket: LaneSocket): string {
  const address = socket.remoteAddress;
  const port = socket.remotePort;
  return address?.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
