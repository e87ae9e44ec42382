import { errorMessage } from "../../core/error.ts";
import { type Destination, NO_ADDRESS } from "../../core/socks/address.ts";
import { type ExitAnswer, ExitAnswerReader, encodeExitRequest } from "../../core/socks/exit-wire.ts";
import { type Authenticate, ProxyHandshake, type ProxyRequest } from "../../core/socks/handshake.ts";
import { type EntryRefusal, type SocksCounters, snake } from "../../core/socks/socks-counters.ts";
import type { Log } from "../../io/log/log.ts";
import type { TcpConnection } from "../../io/tcp/tcp-connection.ts";
import type { PeerStream, StreamEnd, StreamHandlers, Streams } from "../streams/stream-link.ts";
import { openAssociation, type SocksAssociation } from "./socks-association.ts";
import { STREAM_RESETS, TcpSplice } from "./tcp-splice.ts";

/** How long a program may take to say what it wants. */
export const HANDSHAKE_MS = 10_000;
/** How long an agent may take to answer: longer than it tries to connect. */
const ANSWER_MS = 30_000;
/** A stream that is lost before its answer was on a connection that is gone: then the request goes on another one. */
const MAX_ATTEMPTS = 3;
/** How long a program that was refused may take to hang up. */
const LINGER_MS = 5_000;

const NOTHING = new Uint8Array(0);

/** What the connections of one proxy share. */
export interface SocksEntry {
  readonly streams: Streams;
  /** Undefined: anybody may ask. */
  readonly authenticate: Authenticate | undefined;
  readonly counters: SocksCounters<EntryRefusal>;
  /** Every single thing, at level debug: the only lines that name destinations. */
  readonly log: Log;
  refused(reason: EntryRefusal, detail?: string): void;
  /** There is no stream to the agent, or no answer on it. */
  unreachable(error: unknown): void;
}

/**
 * One TCP connection of a program to the proxy: what it asks for goes to the agent on a stream of its own, and once the
 * agent has agreed both are one connection. A program hears why not in SOCKS's or HTTP's own words.
 */
export class SocksConnection {
  readonly #entry: SocksEntry;
  readonly #tcp: TcpConnection;
  readonly #handshake: ProxyHandshake;
  #answer = new ExitAnswerReader();
  readonly #abandoned = new AbortController();
  readonly #onOver: (connection: SocksConnection) => void;
  #request: ProxyRequest | undefined;
  #stream: PeerStream | undefined;
  #splice: TcpSplice | undefined;
  #association: SocksAssociation | undefined;
  #timer: Timer | undefined;
  #attempts = 0;
  /** Data went with the request, and must not go twice. */
  #hasSpoken = false;
  #isAnswered = false;
  #isTcpGone = false;
  #isOver = false;

  /** `onOver`: nothing is left of it. */
  constructor(entry: SocksEntry, tcp: TcpConnection, onOver: (connection: SocksConnection) => void) {
    this.#entry = entry;
    this.#tcp = tcp;
    this.#handshake = new ProxyHandshake(entry.authenticate);
    this.#onOver = onOver;
    this.#expect(HANDSHAKE_MS, () => this.#refuse("timeout", NOTHING));
    tcp.start({
      data: (chunk) => this.#fromProgram(chunk),
      ended: () => this.reset(),
      drained: () => {},
      closed: () => this.#tcpGone(),
    });
  }

  /** It has not yet said what it wants. */
  get isPending(): boolean {
    return this.#request === undefined;
  }

  /** Everybody hears that it broke. */
  reset(): void {
    this.#stream?.reset(STREAM_RESETS.shutdown);
    this.#tcp.reset();
  }

  #fromProgram(chunk: Uint8Array): void {
    // On the connection of an association nothing is said, and a broken one brings what was paused.
    if (this.#request !== undefined) return;
    const step = this.#handshake.push(chunk);
    if (step.type === "refused") {
      this.#refuse(step.fault, step.answer);
      return;
    }
    if (step.answer.length > 0) this.#say(step.answer);
    if (step.type === "more") return;
    clearTimeout(this.#timer);
    this.#request = step.request;
    this.#tcp.pause();
    this.#entry.counters.begin(step.request.command);
    this.#begin(step.request, step.early);
  }

  #begin(request: ProxyRequest, early: Uint8Array): void {
    this.#ask(request, early).catch((error) => this.#unreachable(error));
  }

  async #ask(request: ProxyRequest, early: Uint8Array): Promise<void> {
    this.#attempts += 1;
    this.#answer = new ExitAnswerReader();
    const to = request.command === "connect" ? request.to : NO_ADDRESS;
    this.#entry.log.debug("socks_request", { command: request.command, host: to.host, port: to.port });
    const stream = await this.#entry.streams.open(this.#handlers, this.#abandoned.signal);
    if (this.#isTcpGone) {
      stream.reset(STREAM_RESETS.broken);
      return;
    }
    this.#stream = stream;
    this.#expect(ANSWER_MS, () => this.#unreachable(new Error("the agent did not answer in time")));
    stream.write(encodeExitRequest({ command: request.command, to }));
    if (request.command !== "connect" || early.length === 0) return;
    this.#hasSpoken = true;
    this.#entry.counters.bytes.up += early.length;
    stream.write(early);
  }

  readonly #handlers: StreamHandlers = {
    data: (chunk) => {
      if (this.#splice !== undefined) return this.#splice.data(chunk);
      if (this.#isAnswered) return chunk.length;
      const reading = this.#answer.push(chunk);
      if (reading.type === "more") return chunk.length;
      clearTimeout(this.#timer);
      this.#isAnswered = true;
      if (reading.type === "malformed") {
        this.#unreachable(new Error(`the agent's answer is malformed: ${reading.kind}`));
        return chunk.length;
      }
      const { message, rest } = reading;
      return chunk.length - rest.length + this.#answered(message, rest);
    },
    ended: () => {
      if (this.#splice !== undefined) this.#splice.ended();
      else if (!this.#isAnswered) this.#unreachable(new Error("the agent ended without an answer"));
      else if (this.#association !== undefined) this.#tcp.end();
    },
    drained: () => this.#splice?.drained(),
    datagram: (payload) => this.#association?.deliver(payload),
    closed: (end) => this.#streamGone(end),
  };

  /** Returns how much of `rest`, the first data behind the answer, was taken. */
  #answered({ reply, bound }: ExitAnswer, rest: Uint8Array): number {
    if (reply !== "succeeded") {
      this.#stream?.end();
      this.#refuse(snake(reply), this.#handshake.reply(reply, NO_ADDRESS));
      return rest.length;
    }
    // Invariant: answers come on a stream, to a request.
    const [stream, request] = [this.#stream as PeerStream, this.#request as ProxyRequest];
    if (request.command === "connect") return this.#join(stream, bound).data(rest);
    this.#associate(stream, request.from).catch((error) => this.#failAssociation(error));
    return rest.length;
  }

  #join(stream: PeerStream, bound: Destination): TcpSplice {
    const { bytes } = this.#entry.counters;
    const splice = new TcpSplice(this.#tcp, stream, {
      fromTcp: (count) => {
        bytes.up += count;
      },
      toTcp: (count) => {
        bytes.down += count;
      },
    });
    this.#say(this.#handshake.reply("succeeded", bound));
    this.#splice = splice;
    this.#tcp.start({
      ...splice.tcp,
      closed: (failure) => {
        splice.tcp.closed(failure);
        this.#tcpGone();
      },
    });
    return splice;
  }

  async #associate(stream: PeerStream, from: Destination): Promise<void> {
    const { counters } = this.#entry;
    const send = (datagram: Uint8Array) => stream.sendDatagram(datagram);
    const association = await openAssociation({ tcp: this.#tcp, from, counters, send });
    if (this.#isTcpGone || this.#stream === undefined) {
      association[Symbol.dispose]();
      throw new Error("it was over before it began");
    }
    this.#association = association;
    this.#say(this.#handshake.reply("succeeded", association.bound));
    this.#tcp.start({
      data: () => {},
      // RFC 1928 §7: it ends with this connection.
      ended: () => {
        stream.end();
        this.#tcp.end();
      },
      drained: () => {},
      closed: () => this.#tcpGone(),
    });
  }

  #failAssociation(error: unknown): void {
    if (this.#isTcpGone) return;
    this.#stream?.reset(STREAM_RESETS.broken);
    this.#refuse("general_failure", this.#handshake.reply("general-failure", NO_ADDRESS), errorMessage(error));
  }

  #unreachable(error: unknown): void {
    this.#isAnswered = true;
    if (this.#isTcpGone) return;
    this.#entry.unreachable(error);
    this.#stream?.reset(STREAM_RESETS.broken);
    this.#refuse("agent_unreachable", this.#handshake.reply("general-failure", NO_ADDRESS));
  }

  #refuse(reason: EntryRefusal, answer: Uint8Array, detail?: string): void {
    this.#entry.refused(reason, detail);
    this.#say(answer);
    this.#tcp.end();
    // Read on, for the program's own end.
    this.#tcp.start({
      data: () => {},
      ended: () => {},
      drained: () => {},
      closed: () => this.#tcpGone(),
    });
    this.#expect(LINGER_MS, () => this.#tcp.reset());
  }

  /** Answers are short, and nothing is under way before them: what does not go at once never will. */
  #say(answer: Uint8Array): void {
    if (this.#tcp.write(answer) < answer.length) this.#tcp.reset();
  }

  #expect(withinMs: number, late: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(late, withinMs);
  }

  #tcpGone(): void {
    if (this.#isTcpGone) return;
    this.#isTcpGone = true;
    clearTimeout(this.#timer);
    this.#abandoned.abort();
    this.#association?.[Symbol.dispose]();
    if (this.#splice === undefined) this.#stream?.reset(STREAM_RESETS.broken);
    if (this.#stream === undefined) this.#over();
  }

  #streamGone(end: StreamEnd): void {
    this.#stream = undefined;
    if (this.#splice !== undefined) this.#splice.closed(end);
    // Invariant: streams are opened for requests.
    else if (this.#mayAskAgain(end)) this.#begin(this.#request as ProxyRequest, NOTHING);
    else if (!this.#isAnswered) this.#unreachable(new Error("the stream to the agent broke"));
    else if (this.#association !== undefined && end.type !== "finished") this.#tcp.reset();
    if (this.#isTcpGone) this.#over();
  }

  #mayAskAgain(end: StreamEnd): boolean {
    const isUnanswered = !this.#isAnswered && !this.#isTcpGone && !this.#hasSpoken;
    return end.type === "lost" && isUnanswered && this.#attempts < MAX_ATTEMPTS;
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#request !== undefined) this.#entry.counters.end(this.#request.command);
    this.#onOver(this);
  }
}
