/** What the user of a QUIC stream hears. */
export interface QuicStreamHandlers {
  /** Bytes as they come; they are the receiver's to keep. QUIC does not hold their sender back (FINDINGS). */
  data(chunk: Uint8Array): void;
  /** `write` has refused, and may be tried again. */
  drained(): void;
  /** Once, last. `code` of a reset by the other end; without one nobody can tell a good end from a bad one. */
  closed(code: number | undefined): void;
}

const DRAIN = Symbol.for("Stream.drainableProtocol");

/** Of Bun's `QuicStream` what is used here, as it behaves in 1.4.5. */
export interface RawStream extends AsyncIterable<readonly Uint8Array[]> {
  readonly id: bigint;
  readonly closed: Promise<void>;
  readonly writer: RawWriter;
  highWaterMark: number;
  onerror: (error: unknown) => void;
  onreset: (error: { errorCode?: bigint }) => void;
  resetStream(code: bigint): void;
  stopSending(code: bigint): void;
}

interface RawWriter {
  writevSync(pieces: readonly Uint8Array[]): boolean;
  endSync(): unknown;
  [DRAIN](): Promise<unknown> | null;
}

/** What QUIC may have of a stream and not have sent: beyond it, what waits had better wait with us. */
const WRITE_BUFFER_BYTES = 64 * 1024;
/** Codes of ours begin here; below are those that mean nothing to us, such as 0 for a stream that was let go. */
const FIRST_CODE = 0x100;
/** Bidirectional streams of one side are numbered in steps of four (RFC 9000 §2.1). */
const ID_STEP = 4n;

/** A bidirectional QUIC stream, without the ways in which Bun's can end. */
export class QuicStream {
  /** The same number at both ends; streams of one side are numbered one by one. */
  readonly id: number;
  readonly #raw: RawStream;
  #handlers: QuicStreamHandlers | undefined;
  #isWaiting = false;
  /** Nothing more is heard of it. */
  #isOver = false;
  /** Nothing more is written to it. */
  #isEnded = false;
  #code: number | undefined;

  constructor(raw: RawStream) {
    this.#raw = raw;
    this.id = Number(raw.id / ID_STEP);
    raw.highWaterMark = WRITE_BUFFER_BYTES;
    raw.onerror = () => {};
    raw.closed.catch(() => {});
    raw.onreset = ({ errorCode = 0n }) => {
      const code = Number(errorCode) - FIRST_CODE;
      this.#over(code >= 0 ? code : undefined);
    };
  }

  start(handlers: QuicStreamHandlers): void {
    this.#handlers = handlers;
    if (this.#isOver) handlers.closed(this.#code);
    else void this.#read();
  }

  /** False: QUIC has enough; all of `pieces` is to be tried again after `drained`. They are copied. */
  write(pieces: readonly Uint8Array[]): boolean {
    if (this.#isOver || this.#raw.writer.writevSync(pieces)) return true;
    this.#awaitRoom();
    return false;
  }

  /** Nothing more will be written. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#raw.writer.endSync();
  }

  /** Gives up both directions; nothing is heard any more. */
  reset(code: number): void {
    this.#isOver = true;
    if (this.#isEnded) return;
    this.#isEnded = true;
    const both = BigInt(FIRST_CODE + code);
    this.#raw.resetStream(both);
    this.#raw.stopSending(both);
  }

  async #read(): Promise<void> {
    try {
      for await (const chunks of this.#raw) for (const chunk of chunks) if (!this.#isOver) this.#handlers?.data(chunk);
    } catch {
      // A reset comes as an error here, and with its code to `onreset`.
    }
    // Bun tells of an end and of a reset in either order: the reset knows more.
    setImmediate(() => this.#over(undefined));
  }

  async #awaitRoom(): Promise<void> {
    if (this.#isWaiting) return;
    const room = this.#raw.writer[DRAIN]();
    // There will be none: the stream is over, of which `closed` tells.
    if (room === null) return;
    this.#isWaiting = true;
    await room.catch(() => {});
    this.#isWaiting = false;
    if (!this.#isOver) this.#handlers?.drained();
  }

  #over(code: number | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#code = code;
    this.#handlers?.closed(code);
  }
}
