import type { X509Certificate } from "node:crypto";
import { commonNameOf } from "../../core/common-name.ts";
import { errorMessage } from "../../core/error.ts";
import { QuicStream, type QuicStreamHandlers, type RawStream } from "./quic-stream.ts";

export interface QuicSessionHandlers {
  /** First of all: both ends have shown their certificates. */
  opened(session: QuicSession): void;
  /** The other end has opened one: `start` it now. */
  stream(stream: QuicStream): void;
  datagram(payload: Uint8Array): void;
  /** Once; streams hear of it by themselves. `undefined`: this end has closed it. */
  closed(reason: string | undefined): void;
}

/** An end of a connection whose other end has shown its certificate. */
export interface QuicSession {
  /** The other end's CN, verified. */
  readonly peer: string;
  /** The loopback port that its first datagrams came from. */
  readonly remotePort: number;
  /** One that is to be started. Rejects where the connection ends first. */
  openStream(): Promise<QuicStream>;
  /** Unreliable. False: larger than `MAX_QUIC_DATAGRAM_BYTES`, or the connection is over. */
  sendDatagram(payload: Uint8Array): boolean;
  /** At once. The other end hears `reason`, streams that were open are over. */
  close(reason: string): void;
}

/** What a datagram of QUIC's carries; larger ones go another way. */
export const MAX_QUIC_DATAGRAM_BYTES = 1_150;
/** QUIC's own code of a connection that this end closes: what counts is the reason beside it. */
const CLOSE_CODE = 1;

/** Of Bun's `QuicSession` what is used here, as it behaves in 1.4.5. */
export interface RawSession {
  readonly opened: Promise<{ remote: { port: number }; validationErrorReason?: string }>;
  readonly closed: Promise<void>;
  readonly peerCertificate: X509Certificate | undefined;
  onerror: (error: unknown) => void;
  onstream: (stream: RawStream) => void;
  ondatagram: (payload: Uint8Array) => void;
  createBidirectionalStream(): Promise<RawStream>;
  sendDatagram(payload: Uint8Array): Promise<bigint>;
  close(options: { code: number; type: "application"; reason: string }): Promise<void>;
}

/**
 * The first stream of a connection is its pulse: a byte now and then, which nobody reads for what it is. QUIC's own
 * keepalive does not count as progress, and lsquic ends a connection that has made none for a minute.
 */
const PULSE_STREAM = 0n;
const PULSE_MS = 20_000;
const PULSE = new Uint8Array(1);

/** Whoever is there, it is not the one that may be. */
export class BadCertificate extends Error {}

/** A connection from its first packet: `opened`, then `start`. */
export class OpeningSession implements QuicSession {
  peer = "";
  remotePort = 0;
  /** What the other end, or silence, ended it with; undefined while it is open, and where this end has closed it. */
  endedWith: string | undefined;
  readonly #raw: RawSession;
  #handlers: QuicSessionHandlers | undefined;
  /** What came with the end of the handshake, before there was anybody to have it. */
  readonly #early: QuicStream[] = [];
  #pulse: Timer | undefined;
  #isOver = false;

  constructor(raw: RawSession) {
    this.#raw = raw;
    raw.onerror = () => {};
    raw.onstream = (stream) => this.#onStream(stream);
    raw.ondatagram = (payload) => this.#handlers?.datagram(payload);
    raw.closed.then(
      () => this.#over("nothing was heard any more"),
      (error) => this.#over(reasonOf(error)),
    );
    // Whoever waits for it hears of it there.
    raw.opened.catch(() => {});
  }

  /** Resolves once the other end has shown a certificate of our CA, with one name. */
  async opened(): Promise<void> {
    const { remote, validationErrorReason } = await this.#raw.opened;
    const { peerCertificate } = this.#raw;
    // Bun resolves without any, too.
    if (validationErrorReason || peerCertificate === undefined)
      throw new BadCertificate(validationErrorReason || "there is no certificate");
    const name = commonNameOf(peerCertificate.toLegacyObject().subject);
    if (!name.ok) throw new BadCertificate(`its common name is ${name.kind}`);
    this.peer = name.cn;
    this.remotePort = remote.port;
  }

  /** The opener's alone, before any other stream. */
  async beat(): Promise<void> {
    // Fails where the other end has hung up, and then that tells why.
    const raw = await this.#raw.createBidirectionalStream().catch(() => undefined);
    if (raw === undefined) return;
    const pulse = new QuicStream(raw);
    pulse.start(NOTHING);
    pulse.write([PULSE]);
    this.#pulse = setInterval(() => pulse.write([PULSE]), PULSE_MS);
    if (this.#isOver) clearInterval(this.#pulse);
  }

  start(handlers: QuicSessionHandlers): void {
    this.#handlers = handlers;
    handlers.opened(this);
    for (const stream of this.#early.splice(0)) handlers.stream(stream);
    if (this.#isOver) handlers.closed(this.endedWith);
  }

  async openStream(): Promise<QuicStream> {
    return new QuicStream(await this.#raw.createBidirectionalStream());
  }

  sendDatagram(payload: Uint8Array): boolean {
    if (this.#isOver || payload.length > MAX_QUIC_DATAGRAM_BYTES) return false;
    this.#raw.sendDatagram(payload).catch(() => {});
    return true;
  }

  close(reason: string): void {
    if (this.#isOver) return;
    // Its own promise settles as `closed` does.
    this.#raw.close({ code: CLOSE_CODE, type: "application", reason }).catch(() => {});
    this.#over(undefined);
  }

  #onStream(raw: RawStream): void {
    const stream = new QuicStream(raw);
    if (raw.id === PULSE_STREAM) stream.start(NOTHING);
    else if (this.#isOver) stream.reset(0);
    else if (this.#handlers === undefined) this.#early.push(stream);
    else this.#handlers.stream(stream);
  }

  #over(reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#pulse);
    this.endedWith = reason;
    this.#handlers?.closed(reason);
  }
}

const NOTHING: QuicStreamHandlers = { data() {}, drained() {}, closed() {} };

/** What the other end said, or what QUIC makes of it. */
function reasonOf(error: unknown): string {
  const reason = (error as { reason?: unknown }).reason;
  return typeof reason === "string" && reason !== "" ? reason : errorMessage(error);
}
