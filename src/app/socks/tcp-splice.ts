import type { TcpConnection, TcpHandlers } from "../../io/tcp/tcp-connection.ts";
import type { PeerStream, StreamEnd } from "../streams/stream-link.ts";

/** Why one end of `ut socks` gives a stream up, told to the other end for its log. */
export const STREAM_RESETS = { broken: 1, idle: 2, malformed: 3, shutdown: 4 } as const;

/** Told of payload that was passed on. */
export interface SpliceMeter {
  fromTcp(bytes: number): void;
  toTcp(bytes: number): void;
}

/**
 * Joins a TCP connection with a stream, so that each end sees what the other one did: as fast as the slower one reads,
 * an end in one direction as FIN, and everything else that ends it as RST, never as an end.
 */
export class TcpSplice {
  readonly #tcp: TcpConnection;
  readonly #stream: PeerStream;
  readonly #meter: SpliceMeter;

  constructor(tcp: TcpConnection, stream: PeerStream, meter: SpliceMeter) {
    this.#tcp = tcp;
    this.#stream = stream;
    this.#meter = meter;
  }

  /** For the TCP connection from now on. */
  readonly tcp: TcpHandlers = {
    data: (chunk) => {
      this.#meter.fromTcp(chunk.length);
      if (!this.#stream.write(chunk)) this.#tcp.pause();
    },
    ended: () => this.#stream.end(),
    drained: () => this.#stream.resume(),
    closed: (failure) => {
      // A close without a failure is the second of two ends; the first one has been passed on.
      if (failure === undefined) this.#stream.end();
      else this.#stream.reset(STREAM_RESETS.broken);
    },
  };

  /** Of the stream; how much of it TCP took. */
  data(chunk: Uint8Array): number {
    const taken = this.#tcp.write(chunk);
    this.#meter.toTcp(taken);
    return taken;
  }

  ended(): void {
    this.#tcp.end();
  }

  drained(): void {
    this.#tcp.resume();
  }

  closed(end: StreamEnd): void {
    if (end.type !== "finished") this.#tcp.reset();
  }

  /** Both ends hear that it broke. */
  cut(reset: keyof typeof STREAM_RESETS): void {
    this.#stream.reset(STREAM_RESETS[reset]);
    this.#tcp.reset();
  }
}
