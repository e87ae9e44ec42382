import type { PipeId } from "../../core/peer/peer-event.ts";
import { type LinkRefusal, StreamCounters } from "../../core/streams/counters.ts";
import { CreditBudget } from "../../core/streams/credit.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { listenQuic, type QuicCredentials, type QuicListener } from "../../io/quic/quic.ts";
import type { QuicSession, QuicSessionHandlers } from "../../io/quic/quic-session.ts";
import type { Pipes, PipeUser } from "../peers/peer-plane.ts";
import { tick } from "../wait.ts";
import { AnsweredLinks } from "./answered-links.ts";
import { StreamConnection } from "./stream-connection.ts";
import type { AcceptStream, StreamLinkStatus } from "./stream-link.ts";
import { streamLinkStatus } from "./stream-link-status.ts";

/** Connections of one link: a pool has fewer. */
const MAX_LINK_CONNECTIONS = 8;
const QUIET_MS = 5_000;
/** For what is said last to reach the pipe, over loopback. */
const FAREWELL_MS = 100;

export interface StreamServiceOptions {
  readonly identity: QuicCredentials;
  readonly accept: AcceptStream;
  readonly log: Log;
}

/** Throws `io.bind`. */
export async function openStreamService(options: StreamServiceOptions): Promise<StreamService> {
  const service = new StreamService(options);
  await service.listen();
  return service;
}

/**
 * The answering side of streams: one QUIC listener on loopback for all pipes of a service. A connection must come
 * through a pipe, from the peer that the pipe is with. Made by `openStreamService`.
 */
export class StreamService implements Disposable {
  readonly #options: StreamServiceOptions;
  readonly #log: DebouncedLog;
  readonly #counters = new StreamCounters();
  /** Each with the peer's budget: what a peer can make us keep does not grow with the connections that it has. */
  readonly #connections = new Map<StreamConnection, { readonly peer: string; readonly budget: CreditBudget }>();
  #listener: QuicListener | undefined;
  #links: AnsweredLinks | undefined;

  constructor(options: StreamServiceOptions) {
    this.#options = options;
    this.#log = debounced(options.log, QUIET_MS, now);
  }

  async listen(): Promise<void> {
    this.#listener = await listenQuic({
      credentials: this.#options.identity,
      accept: (session) => this.#accept(session),
      refused: (kind, detail) => this.#refused(kind, { err: detail }),
    });
    this.#links = new AnsweredLinks(this.#listener.port);
  }

  /** A pipe that a peer has opened for this service. */
  accept(plane: Pipes, pipe: PipeId, peer: string): PipeUser {
    // Invariant: nobody has the service before it listens.
    return (this.#links as AnsweredLinks).accept(plane, pipe, peer);
  }

  status(): StreamLinkStatus {
    return streamLinkStatus(this.#counters, this.#connections.keys());
  }

  /** Where QUIC listens, on loopback. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Sockets on loopback, for tests of leaks. */
  get links(): number {
    return this.#links?.size ?? 0;
  }

  /** Tells every peer that this end goes; before its pipes do. */
  async end(): Promise<void> {
    for (const connection of [...this.#connections.keys()]) connection.close("shutdown");
    await tick(FAREWELL_MS);
  }

  [Symbol.dispose](): void {
    for (const connection of [...this.#connections.keys()]) connection.close("shutdown");
    this.#listener?.[Symbol.dispose]();
    this.#links?.[Symbol.dispose]();
    this.#log.flush();
  }

  #accept(session: QuicSession): QuicSessionHandlers | undefined {
    const link = this.#links?.at(session.remotePort);
    if (link === undefined || link.peer !== session.peer) {
      this.#refused("wrong_cn", { peer: session.peer, pipe_of: link?.peer });
      return undefined;
    }
    if (link.connections >= MAX_LINK_CONNECTIONS) {
      this.#refused("no_room", { peer: session.peer });
      return undefined;
    }
    const { peer } = session;
    const budget = this.#budgetOf(peer);
    const connection: StreamConnection = new StreamConnection({
      ...{ counters: this.#counters, budget },
      accept: this.#options.accept,
      closed: (reason) => {
        this.#connections.delete(connection);
        link.disconnected();
        this.#options.log.info("streams_down", { peer, reason: reason ?? "shutdown" });
      },
    });
    link.connected();
    this.#connections.set(connection, { peer, budget });
    this.#options.log.info("streams_up", { peer });
    return connection;
  }

  #budgetOf(peer: string): CreditBudget {
    for (const one of this.#connections.values()) if (one.peer === peer) return one.budget;
    return new CreditBudget();
  }

  #refused(reason: LinkRefusal, details: Record<string, unknown>): void {
    this.#counters.refuse(reason);
    this.#log.warn("streams_refused", { reason, ...details });
  }
}
