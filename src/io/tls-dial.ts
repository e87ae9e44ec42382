import { errorMessage, UtError } from "../core/error.ts";
import { type ResolvedAddress, race, resolveAll } from "./happy-eyeballs.ts";
import type { LaneHandlers } from "./lane-transport.ts";
import { HANDSHAKE_TIMEOUT_MS, lost, peerName, type TlsIdentity, TlsLane } from "./tls-lane.ts";
import { unlessAborted } from "./unless-aborted.ts";

export type Resolve = (host: string) => Promise<ResolvedAddress[]>;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** The name that the server's certificate must carry. */
  readonly serverName: string;
  readonly identity: TlsIdentity;
  /** The system's resolver unless given. */
  readonly resolve?: Resolve | undefined;
}

/**
 * Dial one mutual-TLS lane: resolve, try all addresses (RFC 8305), handshake, verify. `handlers.opened` tells that it
 * is up, `handlers.closed` how it ended, before or after. `signal` gives up a dial at any stage before `opened`; an
 * open lane is its owner's.
 */
export function dialTlsLane(options: DialOptions, handlers: LaneHandlers, signal: AbortSignal): void {
  connectAny(options, handlers, signal).catch((cause) => handlers.closed(connectError(options, cause)));
}

async function connectAny(options: DialOptions, handlers: LaneHandlers, signal: AbortSignal): Promise<void> {
  const resolving = (options.resolve ?? resolveAll)(options.host);
  await unlessAborted(resolving, signal);
  if (signal.aborted) throw givenUp();
  const addresses = await resolving;
  const lane = await race(addresses, (address, abandoned) => connectOne(options, address, abandoned), { signal });
  // TCP is up; the handshake is under way and reports to the handlers from here on.
  if (lane.closed) throw lane.error ?? closedEarly(lane.remote);
  const stop = () => lane.fail(givenUp());
  signal.addEventListener("abort", stop, { once: true });
  lane.adopt({
    data: (chunk) => handlers.data(chunk),
    drained: () => handlers.drained(),
    opened(transport, handshakeMs) {
      signal.removeEventListener("abort", stop);
      handlers.opened(transport, handshakeMs);
    },
    closed(error) {
      signal.removeEventListener("abort", stop);
      handlers.closed(error);
    },
  });
  if (lane.isReady) lane.opened();
}

/** Resolves when TCP is up. Rejects when it does not come up, in time. */
function connectOne(options: DialOptions, address: ResolvedAddress, abandoned: AbortSignal): Promise<TlsLane> {
  const { identity, port, serverName } = options;
  const lane = new TlsLane();
  const { promise, resolve, reject } = Promise.withResolvers<TlsLane>();
  // The kernel would try for two minutes, with pauses of up to one: too long to notice that the network is back.
  let isTooLate = false;
  const slow = setTimeout(() => {
    isTooLate = true;
    reject(refusal(options, address, new Error("no answer within 10 s")));
  }, HANDSHAKE_TIMEOUT_MS);
  Bun.connect<TlsLane>({
    hostname: address.address,
    port,
    data: lane,
    tls: { ca: identity.ca, cert: identity.cert, key: identity.key, serverName, rejectUnauthorized: true },
    socket: {
      binaryType: "uint8array",
      open(socket) {
        // A connect cannot be called off; one that nobody waits for any more ends as soon as it is up.
        if (abandoned.aborted || isTooLate) {
          socket.terminate();
          return;
        }
        lane.connected(socket, HANDSHAKE_TIMEOUT_MS, () => lane.fail(handshakeTimeout(lane.remote)));
        resolve(lane);
      },
      handshake(socket, success, error) {
        if (!success || error || !socket.authorized) {
          lane.fail(handshakeError(error, lane.remote, serverName));
          return;
        }
        socket.setNoDelay(true);
        lane.ready(socket, peerName(socket));
        lane.opened();
      },
      data: (_socket, chunk) => lane.received(chunk),
      drain: () => lane.drained(),
      error: (_socket, error) => lane.fail(alertError(error, lane.remote)),
      close(_socket, error) {
        lane.gone(error ? lost(error) : lane.isReady ? undefined : closedEarly(lane.remote));
      },
      connectError: (_socket, error) => reject(refusal(options, address, error)),
    },
  }).catch((error) => reject(refusal(options, address, error)));
  return promise.finally(() => clearTimeout(slow));
}

function connectError(options: DialOptions, cause: unknown): UtError {
  if (cause instanceof UtError) return cause;
  if (cause instanceof DOMException && cause.name === "AbortError") return givenUp();
  return refusal(options, { address: options.host, family: 0 }, cause);
}

function refusal({ port }: DialOptions, { address }: ResolvedAddress, cause: unknown): UtError {
  const target = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return new UtError(
    "io.connect",
    `Cannot connect to ${target}: ${reasonOf(cause)}; check that the server runs and that its TCP port is reachable`,
    { cause, details: { address, port } },
  );
}

/** Bun's message for each of them is "Failed to connect"; the system's own word is in the code. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return REASONS[code] ?? (code === "" ? errorMessage(cause) : `${errorMessage(cause)} (${code})`);
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused (ECONNREFUSED)",
  ETIMEDOUT: "no answer (ETIMEDOUT)",
  EHOSTUNREACH: "no route to that host (EHOSTUNREACH)",
  ENETUNREACH: "network unreachable (ENETUNREACH)",
};

function givenUp(): UtError {
  return new UtError("lane.closed", "Dial given up: the node is stopping");
}

function closedEarly(remote: string): UtError {
  return new UtError("lane.closed", `${remote} closed the connection during the TLS handshake`);
}

function handshakeTimeout(remote: string): UtError {
  return new UtError(
    "tls.handshake",
    `No TLS handshake with ${remote} within 10 s; check that nothing between here and the server holds TLS up`,
    { details: { code: "timeout", remote } },
  );
}

type TlsError = Error & { code?: string };

function handshakeError(error: TlsError | null, remote: string, serverName: string): UtError {
  const code = error?.code ?? "";
  if (code === "ECONNRESET") return closedEarly(remote);
  return new UtError(
    "tls.handshake",
    `Cannot trust the server at ${remote}: ${error?.message ?? "handshake failed"}; ${remedy(code, serverName)}`,
    { cause: error, details: { code, remote } },
  );
}

function remedy(code: string, serverName: string): string {
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `issue the server's certificate with --host ${serverName}, or set tls.server_name to a name it carries`;
    case "INVALID_PURPOSE":
      return "that certificate is a client's; issue the server's with --host";
    case "CERT_HAS_EXPIRED":
      return "renew the server's certificate, or set this machine's clock";
    case "CERT_NOT_YET_VALID":
      return "set this machine's clock";
    case "EPROTO":
      return "check that tcp.server_addr is the server's lane port and nothing else listens there";
    default:
      return "check that both ends use certificates of the same CA";
  }
}

/** FINDINGS: with TLS 1.3 the server's verdict arrives after our side of the handshake has succeeded. */
function alertError(error: TlsError, remote: string): UtError {
  const refusedWithout = /CERTIFICATE_REQUIRED/.test(error.message);
  return new UtError(
    refusedWithout ? "tls.handshake" : "lane.closed",
    refusedWithout
      ? `${remote} demands a client certificate; set tls.cert and tls.key`
      : `Connection to ${remote} failed: ${error.message}`,
    { cause: error, details: { remote } },
  );
}
