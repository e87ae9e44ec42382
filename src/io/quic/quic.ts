import { createPrivateKey } from "node:crypto";
import { connect, listen, QuicEndpoint } from "node:quic";
import { errorMessage, UtError } from "../../core/error.ts";
import { agentHost } from "../pki/pki-hosts.ts";
import {
  BadCertificate,
  OpeningSession,
  type QuicSession,
  type QuicSessionHandlers,
  type RawSession,
} from "./quic-session.ts";

/**
 * QUIC between the two ends of a pipe, on loopback, over `node:quic` (lsquic; experimental in Bun, so these files are all
 * that know it). Mutual TLS 1.3 by the private CA, the dialled end by its agent's name.
 *
 * What FINDINGS "QUIC" has of its traps: the listener sees sessions without a certificate and must look for one; every
 * promise of every session is handled, since garbage makes sessions too; a failed bind is not thrown; the end of a
 * stream says nothing of how it ended.
 */

/** PEM texts, as `loadCredentials` has checked them. */
export interface QuicCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Why a connection did not come about, for counting. */
export type QuicRefusal = "handshake" | "bad_certificate";

export interface QuicListenerOptions {
  readonly credentials: QuicCredentials;
  /** Somebody with a certificate of our CA. Undefined: not welcome. */
  accept(session: QuicSession): QuicSessionHandlers | undefined;
  refused(kind: QuicRefusal, detail: string): void;
}

/** Streams that a peer may have open on one connection. */
const MAX_STREAMS = 1_024;
const IDLE_SECONDS = 15;
const ALPN = "ut-streams-1";
const LOOPBACK = "127.0.0.1";
const KEEPALIVE_MS = 5_000;
const HANDSHAKE_MS = 10_000;
/** Sessions of one listener at a time, those without a certificate included. */
const MAX_SESSIONS = 1_024;
/** With what a pipe adds, it fits a path of 1,372 bytes, which a tunnel under ours may leave; see `docs/performance.md`. */
const MAX_PACKET_BYTES = 1_340;

/** @throws UtError `io.bind` */
export async function listenQuic(options: QuicListenerOptions): Promise<QuicListener> {
  const { ca, cert, key } = options.credentials;
  const endpoint = await listen((raw) => welcome(raw as unknown as RawSession, options), {
    ...COMMON,
    endpoint: ENDPOINT,
    ca: [Buffer.from(ca)],
    sni: { "*": { keys: [createPrivateKey(key)], certs: [Buffer.from(cert)] } },
    verifyClient: true,
    rejectUnauthorized: true,
  });
  return new QuicListener(endpoint);
}

/** Made by `listenQuic`. */
export class QuicListener implements Disposable {
  readonly port: number;
  readonly #endpoint: QuicEndpoint;

  constructor(endpoint: QuicEndpoint) {
    this.#endpoint = endpoint;
    this.port = portOf(endpoint);
  }

  [Symbol.dispose](): void {
    destroy(this.#endpoint);
  }
}

/** Where connections of this process to one peer begin: one UDP port on loopback. */
export class QuicDialer implements Disposable {
  readonly #credentials: QuicCredentials;
  readonly #endpoint = new QuicEndpoint(ENDPOINT);

  constructor(credentials: QuicCredentials) {
    this.#credentials = credentials;
    this.#endpoint.closed.catch(() => {});
  }

  /**
   * Dials the agent `peer` at a loopback port. `from` hears the dialer's own port before anything arrives from it.
   *
   * @throws UtError `peer-not-reachable` where nobody answers, or somebody else
   */
  async dial(
    to: { readonly peer: string; readonly port: number },
    from: (port: number) => void,
    handlers: QuicSessionHandlers,
  ): Promise<QuicSession> {
    const { ca, cert, key } = this.#credentials;
    try {
      const raw = (await connect({ address: LOOPBACK, port: to.port } as never, {
        ...COMMON,
        endpoint: this.#endpoint,
        ca: [Buffer.from(ca)],
        keys: [createPrivateKey(key)],
        certs: [Buffer.from(cert)],
        servername: agentHost(to.peer).value,
        verifyPeer: "auto",
      })) as unknown as RawSession;
      from(portOf(this.#endpoint));
      return await opened(raw, to.peer, handlers);
    } catch (cause) {
      throw new UtError("peer-not-reachable", `Cannot connect to ${to.peer}: ${errorMessage(cause)}`, {
        cause,
        details: { peer: to.peer },
      });
    }
  }

  [Symbol.dispose](): void {
    destroy(this.#endpoint);
  }
}

/** What Bun has of Node's options, and what it names otherwise. */
const COMMON = {
  alpn: ALPN as never,
  // Left alone, lsquic settles on CUBIC for some connections, which at 1 % loss run at a tenth of the link.
  cc: "bbr" as never,
  keepAlive: KEEPALIVE_MS,
  handshakeTimeout: HANDSHAKE_MS,
  transportParams: {
    maxIdleTimeout: IDLE_SECONDS,
    initialMaxData: 32 * 1024 * 1024,
    initialMaxStreamDataBidiLocal: 8 * 1024 * 1024,
    initialMaxStreamDataBidiRemote: 8 * 1024 * 1024,
    initialMaxStreamsBidi: MAX_STREAMS,
    initialMaxStreamsUni: 0,
    maxDatagramFrameSize: 65_535,
    maxUdpPayloadSize: MAX_PACKET_BYTES,
  },
};

const ENDPOINT = { address: `${LOOPBACK}:0`, maxConnectionsTotal: MAX_SESSIONS };

/** A session that somebody has begun with the listener: a peer, a stranger, or garbage. */
async function welcome(raw: RawSession, { accept, refused }: QuicListenerOptions): Promise<void> {
  const session = new OpeningSession(raw);
  try {
    await session.opened();
  } catch (error) {
    refused(error instanceof BadCertificate ? "bad_certificate" : "handshake", errorMessage(error));
    session.close("bad certificate");
    return;
  }
  const handlers = accept(session);
  if (handlers === undefined) session.close("not welcome");
  else session.start(handlers);
}

/** The connection, once the agent has shown that it is `to.peer`. */
async function opened(raw: RawSession, peer: string, handlers: QuicSessionHandlers): Promise<QuicSession> {
  const session = new OpeningSession(raw);
  try {
    await session.opened();
    if (session.peer !== peer) throw new BadCertificate(`it is ${session.peer}`);
    await session.beat();
    // An agent that does not want this end says so only after the handshake.
    if (session.endedWith !== undefined) throw new Error(session.endedWith);
  } catch (error) {
    session.close("bad certificate");
    throw error;
  }
  session.start(handlers);
  return session;
}

function portOf(endpoint: QuicEndpoint): number {
  const { address } = endpoint;
  if (address !== undefined && !endpoint.destroyed) return address.port;
  throw new UtError("io.bind", `Cannot bind a UDP port on ${LOOPBACK} for QUIC`);
}

function destroy(endpoint: QuicEndpoint): void {
  endpoint.closed.catch(() => {});
  if (!endpoint.destroyed) endpoint.destroy();
}
