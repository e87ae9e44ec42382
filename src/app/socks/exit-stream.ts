import type { Destination } from "../../core/socks/address.ts";
import { type ExitRequest, ExitRequestReader, encodeExitAnswer } from "../../core/socks/exit-wire.ts";
import type { Reply } from "../../core/socks/reply.ts";
import type { ExitFault, SocksCounters, SocksKind } from "../../core/socks/socks-counters.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import type { Log } from "../../io/log/log.ts";
import type { PeerStream, StreamEnd, StreamHandlers } from "../streams/stream-link.ts";
import { ExitAssociation } from "./exit-association.ts";
import type { ExitDialer } from "./exit-dialer.ts";
import { STREAM_RESETS, TcpSplice } from "./tcp-splice.ts";

/** How long a peer may take to say what a stream is for. */
const REQUEST_MS = 10_000;

/** What the streams of one agent share. */
export interface Exit {
  readonly dialer: ExitDialer;
  readonly counters: SocksCounters<ExitFault>;
  /** Every single thing, at level debug: the only lines that name destinations. */
  readonly log: Log;
  /** Whether this peer may have another one; false: too many. */
  hasRoom(peer: string, kind: SocksKind): boolean;
  refused(peer: string, fault: ExitFault): void;
}

/** One stream of a peer at the agent: a TCP connection to where it asked for, or a UDP association. */
export class ExitStream implements StreamHandlers {
  readonly peer: string;
  /** When something last went through, either way. */
  usedAt: Instant = now();
  /** What the peer asked for, once it has. */
  kind: SocksKind | undefined;
  readonly #exit: Exit;
  readonly #stream: PeerStream;
  readonly #request = new ExitRequestReader();
  readonly #abandoned = new AbortController();
  readonly #onOver: (stream: ExitStream) => void;
  #timer: Timer | undefined;
  #splice: TcpSplice | undefined;
  #association: ExitAssociation | undefined;
  #isRefused = false;
  /** The peer had sent everything before there was a connection. */
  #hasEnded = false;

  /** `onOver`: nothing is left of it. */
  constructor(exit: Exit, stream: PeerStream, onOver: (stream: ExitStream) => void) {
    this.#exit = exit;
    this.#stream = stream;
    this.peer = stream.peer;
    this.#onOver = onOver;
    this.#timer = setTimeout(() => {
      this.#exit.refused(this.peer, "timeout");
      this.#stream.reset(STREAM_RESETS.malformed);
    }, REQUEST_MS);
  }

  data(chunk: Uint8Array): number {
    this.usedAt = now();
    if (this.#splice !== undefined) return this.#splice.data(chunk);
    // An association's stream carries nothing, and nobody reads on after a refusal.
    if (this.#association !== undefined || this.#isRefused) return chunk.length;
    if (this.kind !== undefined) return 0;
    const reading = this.#request.push(chunk);
    if (reading.type === "more") return chunk.length;
    clearTimeout(this.#timer);
    if (reading.type === "malformed") {
      this.#refuse("malformed", reading.kind === "command" ? "command-not-supported" : "general-failure");
      return chunk.length;
    }
    this.#begin(reading.message);
    return chunk.length - (this.kind === "connect" ? reading.rest.length : 0);
  }

  ended(): void {
    if (this.#splice !== undefined) this.#splice.ended();
    else if (this.kind === "connect" && !this.#isRefused) this.#hasEnded = true;
    else this.#stream.end();
  }

  drained(): void {
    this.#splice?.drained();
  }

  datagram(payload: Uint8Array): void {
    this.usedAt = now();
    this.#association?.deliver(payload);
  }

  closed(end: StreamEnd): void {
    clearTimeout(this.#timer);
    this.#abandoned.abort();
    this.#splice?.closed(end);
    this.#association?.[Symbol.dispose]();
    this.#exit.log.debug("exit_close", { peer: this.peer, ended: end.type });
    if (this.kind !== undefined) this.#exit.counters.end(this.kind);
    this.#onOver(this);
  }

  /** Give it up, both ways. */
  cut(reset: keyof typeof STREAM_RESETS): void {
    if (this.#splice !== undefined) this.#splice.cut(reset);
    else this.#stream.reset(STREAM_RESETS[reset]);
  }

  #begin({ command, to }: ExitRequest): void {
    this.#exit.log.debug("exit_request", { peer: this.peer, command, host: to.host, port: to.port });
    const hasRoom = this.#exit.hasRoom(this.peer, command);
    this.kind = command;
    this.#exit.counters.begin(command);
    if (!hasRoom) this.#refuse("crowded", "general-failure");
    else if (command === "udp") this.#associate();
    else this.#connect(to).catch(() => this.#stream.reset(STREAM_RESETS.broken));
  }

  #associate(): void {
    const { dialer, counters } = this.#exit;
    this.#association = new ExitAssociation({
      dialer,
      peer: this.peer,
      counters,
      send: (datagram) => {
        this.usedAt = now();
        return this.#stream.sendDatagram(datagram);
      },
      refused: (fault) => this.#exit.refused(this.peer, fault),
    });
    this.#stream.write(encodeExitAnswer("succeeded"));
  }

  async #connect(to: Destination): Promise<void> {
    const dialled = await this.#exit.dialer.dial(to, this.peer, this.#abandoned.signal);
    if (this.#abandoned.signal.aborted) {
      if (dialled.ok) dialled.connection.reset();
      return;
    }
    if (!dialled.ok) {
      this.#refuse(dialled.fault, dialled.reply);
      return;
    }
    const { connection } = dialled;
    const { bytes } = this.#exit.counters;
    this.#splice = new TcpSplice(connection, this.#stream, {
      fromTcp: (count) => {
        this.usedAt = now();
        bytes.down += count;
      },
      toTcp: (count) => {
        bytes.up += count;
      },
    });
    const { localAddress: host, localPort: port } = connection;
    this.#stream.write(encodeExitAnswer("succeeded", { host, port }));
    connection.start(this.#splice.tcp);
    this.#stream.resume();
    if (this.#hasEnded) this.#splice.ended();
  }

  #refuse(fault: ExitFault, reply: Reply): void {
    this.#isRefused = true;
    this.#exit.refused(this.peer, fault);
    this.#stream.write(encodeExitAnswer(reply));
    this.#stream.end();
    // What waits is nobody's any more.
    this.#stream.resume();
  }
}
