import { UtError } from "../../core/error.ts";
import type { StreamCounters } from "../../core/streams/counters.ts";
import { CreditBudget } from "../../core/streams/credit.ts";
import { decodeTagged, encodeTagged } from "../../core/streams/tagged-datagram.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import type { QuicSession, QuicSessionHandlers } from "../../io/quic/quic-session.ts";
import type { QuicStream } from "../../io/quic/quic-stream.ts";
import { LinkStream } from "./link-stream.ts";
import type { AcceptStream, PeerStream, StreamHandlers } from "./stream-link.ts";

export interface StreamConnectionOptions {
  readonly counters: StreamCounters;
  /** What comes of streams that the other end opens; without it they are refused. */
  readonly accept?: AcceptStream;
  /** What its streams share with those of the same peer's other connections. */
  readonly budget?: CreditBudget;
  /** Once; its streams are over already. `undefined`: this end has closed it. */
  readonly closed: (reason: string | undefined) => void;
}

/** A QUIC connection to a peer, and the streams on it. */
export class StreamConnection implements QuicSessionHandlers {
  readonly #options: StreamConnectionOptions;
  readonly #streams = new Map<number, LinkStream>();
  readonly #budget: CreditBudget;
  openedAt: Instant = Number.POSITIVE_INFINITY;
  #session: QuicSession | undefined;
  #opening = 0;
  /** Why this end has closed it. */
  #closedWith = "";

  constructor(options: StreamConnectionOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new CreditBudget();
  }

  /** Streams that are open, or are being opened. */
  get size(): number {
    return this.#streams.size + this.#opening;
  }

  /** What came in and waits for its readers. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const stream of this.#streams.values()) bytes += stream.waitingBytes;
    return bytes;
  }

  /** Throws `peer-not-reachable` where the connection ends first. */
  async open(handlers: StreamHandlers): Promise<PeerStream> {
    const session = this.#session;
    this.#opening += 1;
    try {
      if (session === undefined) throw new Error("it is no longer there");
      return this.#begin(session, await session.openStream(), () => handlers);
    } catch (cause) {
      throw new UtError("peer-not-reachable", "Cannot open a stream: the connection to the peer has ended", { cause });
    } finally {
      this.#opening -= 1;
    }
  }

  /** Streams that are open are lost, at both ends. */
  close(reason: string): void {
    this.#closedWith = reason;
    this.#session?.close(reason);
  }

  opened(session: QuicSession): void {
    this.#session = session;
    this.openedAt = now();
    this.#options.counters.connectionsOpened += 1;
  }

  stream(quic: QuicStream): void {
    const { accept } = this.#options;
    // Invariant: it is opened before it has streams.
    const session = this.#session as QuicSession;
    if (accept === undefined) quic.reset(0);
    else this.#begin(session, quic, (stream) => accept(session.peer, stream));
  }

  datagram(payload: Uint8Array): void {
    const tagged = decodeTagged(payload);
    const stream = this.#streams.get(tagged?.stream ?? -1);
    if (tagged === undefined || stream === undefined) this.#options.counters.datagramsDropped += 1;
    else stream.datagram(tagged.payload);
  }

  closed(reason: string | undefined): void {
    this.#session = undefined;
    for (const stream of [...this.#streams.values()]) stream.lost(reason ?? this.#closedWith);
    if (reason !== undefined) this.#options.counters.connectionsLost += 1;
    this.#options.closed(reason);
  }

  #begin(session: QuicSession, quic: QuicStream, handlersOf: (stream: PeerStream) => StreamHandlers): LinkStream {
    const stream = new LinkStream({
      peer: session.peer,
      quic,
      budget: this.#budget,
      counters: this.#options.counters,
      sendDatagram: (id, payload) => session.sendDatagram(encodeTagged({ stream: id, payload })),
      over: () => this.#streams.delete(quic.id),
    });
    this.#streams.set(quic.id, stream);
    stream.start(handlersOf(stream));
    return stream;
  }
}
