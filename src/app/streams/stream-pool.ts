import { errorMessage, UtError } from "../../core/error.ts";
import { StreamCounters } from "../../core/streams/counters.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { type QuicCredentials, QuicDialer } from "../../io/quic/quic.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import type { Pipes } from "../peers/peer-plane.ts";
import { tick } from "../wait.ts";
import { type OpenedLink, openLink } from "./opened-link.ts";
import { StreamConnection } from "./stream-connection.ts";
import type { PeerStream, StreamHandlers, StreamLinkStatus, Streams } from "./stream-link.ts";
import { streamLinkStatus } from "./stream-link-status.ts";

export interface StreamPoolOptions {
  readonly plane: Pipes;
  /** The agent's CN. */
  readonly to: string;
  readonly service: string;
  readonly identity: QuicCredentials;
  readonly log: Log;
}

/** Connections to one agent. */
const POOL_SIZE = 2;
/** How long a stream waits for a connection; and once there has been none for so long, none waits at all. */
const PATIENCE_MS = 10_000;
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 10_000;
/** A connection that lasted for less was not wanted at the other end: the next one waits as after a failure. */
const STEADY_MS = 5_000;
const QUIET_MS = 5_000;
/** For what is said last to reach the pipe, over loopback. */
const FAREWELL_MS = 100;

/** Throws `io.bind`. */
export async function openStreamPool(options: StreamPoolOptions): Promise<StreamPool> {
  const pool = new StreamPool(options);
  await pool.start();
  return pool;
}

/**
 * The opening side of streams: a few QUIC connections to one agent over one pipe, each dialled anew when it breaks.
 * Streams go to whichever has the fewest; those on a connection that breaks are lost. Made by `openStreamPool`.
 */
export class StreamPool implements Streams, Disposable {
  readonly #options: StreamPoolOptions;
  readonly #log: DebouncedLog;
  readonly #counters = new StreamCounters();
  readonly #dialer: QuicDialer;
  readonly #connections: StreamConnection[] = [];
  #link: OpenedLink | undefined;
  #isLinkUp = false;
  #dialling = 0;
  #failures = 0;
  #pause: Timer | undefined;
  /** Why there is no connection. */
  #problem = "the agent is being asked";
  /** Since when there is none. */
  #noneSince: Instant = now();
  /** Resolves when something has changed for those that wait for a connection. */
  #change = Promise.withResolvers<void>();
  #isOver = false;

  constructor(options: StreamPoolOptions) {
    this.#options = options;
    this.#log = debounced(options.log.child({ peer: options.to }), QUIET_MS, now);
    this.#dialer = new QuicDialer(options.identity);
  }

  async start(): Promise<void> {
    const { plane, to, service } = this.#options;
    this.#link = await openLink({
      ...{ plane, to, service },
      up: (isKnown) => this.#linkUp(isKnown),
      down: (reason) => this.#linkDown(reason),
    });
  }

  /** Why no stream can be had; undefined while one can. */
  get problem(): string | undefined {
    return this.#connections.length > 0 ? undefined : this.#problem;
  }

  async open(handlers: StreamHandlers, signal?: AbortSignal): Promise<PeerStream> {
    for (;;) {
      const connection = await this.#connection(signal);
      try {
        return await connection.open(handlers);
      } catch (error) {
        // It broke just now: another one may not have.
        if (this.#connections.includes(connection)) throw error;
      }
    }
  }

  status(): StreamLinkStatus {
    return streamLinkStatus(this.#counters, this.#connections);
  }

  /** Tells the agent that this end goes; before its pipe does. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (const connection of [...this.#connections]) connection.close("shutdown");
    await tick(FAREWELL_MS);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#pause);
    for (const connection of [...this.#connections]) connection.close("shutdown");
    this.#link?.[Symbol.dispose]();
    this.#dialer[Symbol.dispose]();
    this.#changed();
    this.#log.flush();
  }

  /** The one with the fewest streams, as soon as there is one. */
  async #connection(signal: AbortSignal | undefined): Promise<StreamConnection> {
    const found = this.#fewest();
    if (found !== undefined) return found;
    const patience = AbortSignal.timeout(Math.max(0, this.#noneSince + PATIENCE_MS - now()));
    const until = signal === undefined ? patience : AbortSignal.any([signal, patience]);
    while (!this.#isOver && !until.aborted) {
      await unlessAborted(this.#change.promise, until);
      const come = this.#fewest();
      if (come !== undefined) return come;
    }
    const { to } = this.#options;
    throw new UtError("peer-not-reachable", `Cannot reach ${to}: ${this.#problem}`, { details: { peer: to } });
  }

  #fewest(): StreamConnection | undefined {
    let best = this.#connections[0];
    for (const one of this.#connections) if (best !== undefined && one.size < best.size) best = one;
    return best;
  }

  #linkUp(isKnown: boolean): void {
    this.#isLinkUp = true;
    // Its end of them is gone, and would be silent for as long as QUIC waits.
    if (!isKnown) for (const connection of [...this.#connections]) this.#abandon(connection);
    this.#fill();
  }

  /** Connections are kept: the next pipe may come in time for them. */
  #linkDown(reason: string): void {
    this.#isLinkUp = false;
    this.#problem = reason;
  }

  #abandon(connection: StreamConnection): void {
    this.#counters.connectionsLost += 1;
    connection.close("the agent was started anew");
  }

  #fill(): void {
    if (!this.#isLinkUp || this.#isOver || this.#pause !== undefined) return;
    while (this.#connections.length + this.#dialling < POOL_SIZE) void this.#dial();
  }

  async #dial(): Promise<void> {
    const { to } = this.#options;
    // Invariant: it is filled only while there is a link.
    const link = this.#link as OpenedLink;
    this.#dialling += 1;
    const connection: StreamConnection = new StreamConnection({
      counters: this.#counters,
      closed: (reason) => this.#closed(connection, reason),
    });
    try {
      await this.#dialer.dial(
        { peer: to, port: link.port },
        (port) => {
          link.dialerPort = port;
        },
        connection,
      );
      this.#up(connection);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#dialling -= 1;
    }
  }

  #up(connection: StreamConnection): void {
    if (this.#isOver) {
      connection.close("shutdown");
      return;
    }
    this.#connections.push(connection);
    this.#options.log.info("streams_up", { peer: this.#options.to, connections: this.#connections.length });
    this.#changed();
  }

  #closed(connection: StreamConnection, reason: string | undefined): void {
    const at = this.#connections.indexOf(connection);
    if (at < 0) return;
    this.#connections.splice(at, 1);
    if (this.#connections.length === 0) this.#noneSince = now();
    if (reason !== undefined) this.#problem = reason;
    const { log, to } = this.#options;
    log.info("streams_down", { peer: to, reason: reason ?? "closed", connections: this.#connections.length });
    if (reason !== undefined && now() - connection.openedAt < STEADY_MS) this.#fillLater();
    else {
      this.#failures = 0;
      this.#fill();
    }
  }

  #failed(error: unknown): void {
    if (this.#isOver) return;
    this.#problem = errorMessage(error);
    this.#counters.refuse("handshake");
    this.#log.warn("streams_fail", { err: error });
    this.#fillLater();
  }

  #fillLater(): void {
    if (this.#isOver) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LAST_PAUSE_MS);
    this.#failures += 1;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(
      () => {
        this.#pause = undefined;
        this.#fill();
      },
      pauseMs * (0.5 + Math.random() / 2),
    );
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
