/**
 * Streams between two peers, over a pipe and whatever path it has: what `ut socks` is built on. `StreamPool` opens
 * them, `StreamService` answers them; neither end learns of a path that changes.
 */

/** How a stream was over. Only `finished` is the end that both sides wanted. */
export type StreamEnd =
  /** Both sides have said that they send no more, and everything was taken. */
  | { readonly type: "finished" }
  /** One side gave it up. `code` is whatever that side passed to `reset`. */
  | { readonly type: "reset"; readonly by: "self" | "peer"; readonly code: number }
  /** The connection under it is gone, or the peer does not keep to the protocol: what is missing will not come. */
  | { readonly type: "lost"; readonly reason: string };

/** What the user of a stream hears. After `closed` nothing comes any more. */
export interface StreamHandlers {
  /**
   * Bytes, in their order; they are the receiver's to keep. Returns how many were taken, as a socket's `write` does:
   * the rest waits here, and comes again after `resume`. The sender is held back by what waits.
   */
  data(chunk: Uint8Array): number;
  /** The peer sends no more, and everything it sent was taken. This end may still write. */
  ended(): void;
  /** `write` has returned false, and may be called again. */
  drained(): void;
  /** A datagram of the peer's, which may have overtaken or lost others. */
  datagram?(payload: Uint8Array): void;
  /** Once, last. */
  closed(end: StreamEnd): void;
}

/** One stream between two peers: bytes both ways, and datagrams beside them. */
export interface PeerStream {
  /** The verified CN of the other end. */
  readonly peer: string;
  /**
   * Takes all of `chunk`, which is the stream's from then on and must not be changed. False: enough waits, write on
   * after `drained`. Does nothing after `end`, `reset` or `closed`.
   */
  write(chunk: Uint8Array): boolean;
  /** No more will be written. The peer may still send. */
  end(): void;
  /** Give up both directions, at once; the peer hears `code`, 0 to 65,535. `closed` follows. */
  reset(code: number): void;
  /** `data` can take more. */
  resume(): void;
  /**
   * A datagram of up to 65,535 bytes: unreliable where it fits one of QUIC's, else through the stream. False: it was
   * dropped, since too much waits or the stream is over.
   */
  sendDatagram(payload: Uint8Array): boolean;
}

/** The side that opens streams: `StreamPool`. */
export interface Streams {
  /**
   * A stream to the peer as soon as there is a connection to it. Throws `peer-not-reachable` when there is none within
   * the pool's patience, and when `signal` fires.
   */
  open(handlers: StreamHandlers, signal?: AbortSignal): Promise<PeerStream>;
}

/** The side that answers streams: a peer whose CN was verified on the pipe and on the QUIC connection. */
export type AcceptStream = (peer: string, stream: PeerStream) => StreamHandlers;

/** Counts since the start, and what there is now. For the pool and for the service alike. */
export interface StreamLinkStatus {
  /** QUIC connections that are up. */
  readonly connections: number;
  readonly connectionsOpened: number;
  /** Connections that ended without either side having wanted it. */
  readonly connectionsLost: number;
  /** Connections that did not come about, by why: `handshake`, `bad_certificate`, `wrong_cn`, `no_room`. */
  readonly refused: ReadonlyMap<string, number>;
  /** Streams that a peer lost because it did not keep to the protocol, by what it did. */
  readonly faults: ReadonlyMap<string, number>;
  readonly streams: number;
  readonly streamsOpened: number;
  /** By how they ended. */
  readonly streamsEnded: Readonly<Record<StreamEnd["type"], number>>;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly datagramsDropped: number;
  /** Bytes that came in and wait for their reader. */
  readonly bufferedBytes: number;
}
