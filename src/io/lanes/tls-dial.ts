import type { SocketHandler } from "bun";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { type ResolvedAddress, race, resolveAll } from "../tcp/happy-eyeballs.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { LaneHandlers } from "./lane-transport.ts";
import { type ProxyAddress, ProxyTunnel } from "./proxy-tunnel.ts";
import {
  alertError,
  closedEarly,
  connectError,
  givenUp,
  handshakeError,
  handshakeTimeout,
  refusal,
} from "./tls-dial-errors.ts";
import {
  HANDSHAKE_TIMEOUT_MS,
  HTTP_ALPN,
  type LaneSocket,
  lost,
  peerName,
  type TlsIdentity,
  TlsLane,
} from "./tls-lane.ts";

export type Resolve = (host: string) => Promise<ResolvedAddress[]>;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** The name that the server's certificate must carry. */
  readonly serverName: string;
  readonly identity: TlsIdentity;
  /** The system's resolver unless given. */
  readonly resolve?: Resolve | undefined;
  /** An HTTP proxy that is asked for a tunnel to the server, which it looks up itself. */
  readonly proxy?: ProxyAddress | undefined;
  /** Offer HTTP/1.1 in the handshake, as every HTTPS client does. */
  readonly https?: boolean | undefined;
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
  const resolving = addressesFor(options);
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

/** Of whoever TCP connects to. */
async function addressesFor({ host, proxy, resolve }: DialOptions): Promise<ResolvedAddress[]> {
  if (resolve !== undefined) return resolve(proxy?.host ?? host);
  return proxy === undefined ? resolveAll(host) : resolveAll(proxy.host, "tcp.proxy");
}

/** Resolves when TCP is up. Rejects when it does not come up, in time. */
function connectOne(options: DialOptions, address: ResolvedAddress, abandoned: AbortSignal): Promise<TlsLane> {
  const { proxy } = options;
  const lane = new TlsLane();
  const { promise, resolve, reject } = Promise.withResolvers<TlsLane>();
  const refuse = (cause: unknown) => reject(refusal(options, address, cause));
  // The kernel would try for two minutes, with pauses of up to one: too long to notice that the network is back.
  let isTooLate = false;
  const slow = setTimeout(() => {
    isTooLate = true;
    refuse(new Error("no answer within 10 s"));
  }, HANDSHAKE_TIMEOUT_MS);
  const handlers = proxy === undefined ? tlsHandlers(lane, options) : tunnelHandlers(lane, options, proxy);
  Bun.connect<TlsLane>({
    hostname: address.address,
    port: proxy?.port ?? options.port,
    data: lane,
    ...(proxy === undefined ? { tls: tlsOptions(options) } : {}),
    socket: {
      ...handlers,
      open(socket) {
        // A connect cannot be called off; one that nobody waits for any more ends as soon as it is up.
        if (abandoned.aborted || isTooLate) {
          socket.terminate();
          return;
        }
        handlers.open(socket);
        resolve(lane);
      },
      connectError: (_socket, error) => refuse(error),
    },
  }).catch(refuse);
  return promise.finally(() => clearTimeout(slow));
}

/** Bun's types know Buffers only behind `upgradeTLS`; plain arrays are cheaper and all that is needed. */
const PLAIN_BYTES = "uint8array" as "buffer";

type Handlers = SocketHandler<TlsLane> & { open(socket: LaneSocket): void };

/** Of a connection that speaks TLS from here on, with `remote` if that is not the socket's other end. */
function tlsHandlers(lane: TlsLane, { serverName }: DialOptions, remote?: string): Handlers {
  return {
    binaryType: PLAIN_BYTES,
    open(socket) {
      lane.connected(socket, HANDSHAKE_TIMEOUT_MS, () => lane.fail(handshakeTimeout(lane.remote)), remote);
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
  };
}

/** Of a connection to a proxy, which speaks TLS with the server once the proxy has put it through. */
function tunnelHandlers(lane: TlsLane, options: DialOptions, proxy: ProxyAddress): Handlers {
  const tunnel = new ProxyTunnel(options, proxy.credentials);
  let isThrough = false;
  return {
    binaryType: PLAIN_BYTES,
    open(socket) {
      lane.connected(socket, HANDSHAKE_TIMEOUT_MS, () => lane.fail(tunnel.error(lane.remote, "no answer within 10 s")));
      // A few hundred bytes on a fresh connection: the socket takes them whole.
      socket.write(tunnel.request);
    },
    data(socket, chunk) {
      // Bun shows what TLS makes of it to the other handlers, and its cipher text here.
      if (isThrough || lane.error !== undefined) return;
      const progress = tunnel.received(chunk, lane.remote);
      if (progress === "waiting") return;
      if (progress !== "through") {
        lane.fail(progress);
        return;
      }
      isThrough = true;
      const server = formatEndpoint({ address: options.host, port: options.port });
      const handlers = tlsHandlers(lane, options, `${server} via ${lane.remote}`);
      socket.upgradeTLS<TlsLane>({ data: lane, tls: tlsOptions(options), socket: handlers });
    },
    error(_socket, error) {
      if (!isThrough) lane.fail(tunnel.error(lane.remote, error.message));
    },
    close() {
      if (!isThrough) lane.gone(tunnel.error(lane.remote, "it closed the connection without an answer"));
    },
  };
}

function tlsOptions({ identity, serverName, https }: DialOptions): Bun.TLSOptions {
  const { ca, cert, key } = identity;
  const alpn = https === true ? { ALPNProtocols: HTTP_ALPN } : {};
  return { ca, cert, key, serverName, rejectUnauthorized: true, ...alpn };
}
