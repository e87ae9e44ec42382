import { type CreditBudget, FIRST_WINDOW_BYTES, ReceiveCredit } from "./credit.ts";
import {
  datagramHeader,
  dataHeader,
  FrameReader,
  type FrameSink,
  finFrame,
  MAX_DATAGRAM_BYTES,
  type StreamFault,
  windowFrame,
} from "./frame.ts";
import { WaitingBytes } from "./waiting-bytes.ts";

/** DATA that waits here before its writer is asked to pause. */
export const SEND_BUFFER_BYTES = 256 * 1024;
/** Datagrams are dropped rather than queued behind more than this. */
const DATAGRAM_BACKLOG_BYTES = 256 * 1024;
/** Datagrams that came in and nobody has fetched. */
const MAX_DATAGRAMS = 256;
/** Nobody is granted more than this: what sums up to it is nonsense. */
const MAX_SEND_CREDIT = 2 ** 31;

/**
 * One end of a stream: what its user writes becomes frames within the credit that the other end gave, what comes in
 * waits, within the credit that we gave, until its user reads it. Half-close is a FIN each way. Left out on purpose:
 * resets, which are QUIC's own, as they must overtake.
 */
export class FramedStream implements FrameSink {
  readonly #reader = new FrameReader(this);
  readonly #credit: ReceiveCredit;
  /** What its user wrote and the other end has not yet allowed; the first one is gone up to `#outAt`. */
  readonly #out: Uint8Array[] = [];
  #outAt = 0;
  #outBytes = 0;
  readonly #outDatagrams: Uint8Array[] = [];
  #outDatagramBytes = 0;
  #sendCredit = FIRST_WINDOW_BYTES;
  #toGrant = 0;
  #fin: "open" | "wanted" | "sent" = "open";
  #owesDrain = false;
  readonly #in = new WaitingBytes();
  readonly #inDatagrams: Uint8Array[] = [];
  #peerFin = false;
  /** Datagrams that came faster than they were fetched. */
  droppedDatagrams = 0;

  constructor(budget: CreditBudget) {
    this.#credit = new ReceiveCredit(budget);
  }

  /** What came in and waits for `read`. */
  get waitingBytes(): number {
    return this.#credit.waitingBytes;
  }

  /** The other end sends no more, and everything was read. */
  get hasEnded(): boolean {
    return this.#peerFin && this.#in.isEmpty;
  }

  /** Both ends have sent everything. */
  get isComplete(): boolean {
    return this.#peerFin && this.#fin === "sent";
  }

  /** And ours has read it. */
  get isFinished(): boolean {
    return this.hasEnded && this.#fin === "sent";
  }

  /** The chunk is not copied. */
  write(chunk: Uint8Array): void {
    if (this.#fin !== "open" || chunk.length === 0) return;
    this.#out.push(chunk);
    this.#outBytes += chunk.length;
  }

  /** What its writer is told when all has left that can. False: enough waits, `takeDrained` says when it does not. */
  askRoom(): boolean {
    if (this.#outBytes > SEND_BUFFER_BYTES) this.#owesDrain = true;
    return !this.#owesDrain;
  }

  end(): void {
    if (this.#fin === "open") this.#fin = "wanted";
  }

  /** A datagram among the DATA. False: it was dropped. */
  sendDatagram(payload: Uint8Array): boolean {
    const isTooMuch = payload.length > MAX_DATAGRAM_BYTES || this.#outDatagramBytes > DATAGRAM_BACKLOG_BYTES;
    if (this.#fin === "sent" || isTooMuch) return false;
    this.#outDatagrams.push(payload);
    this.#outDatagramBytes += payload.length;
    return true;
  }

  /** The next bytes for the QUIC stream, in pieces that belong together; undefined: nothing may leave now. */
  pollOutput(maxBytes: number): Uint8Array[] | undefined {
    if (this.#toGrant > 0) {
      const frame = windowFrame(this.#toGrant);
      this.#toGrant = 0;
      return [frame];
    }
    const datagram = this.#outDatagrams.shift();
    if (datagram !== undefined) {
      this.#outDatagramBytes -= datagram.length;
      return [datagramHeader(datagram.length), datagram];
    }
    if (this.#out.length > 0) return this.#pollData(maxBytes);
    if (this.#fin !== "wanted") return undefined;
    this.#fin = "sent";
    return [finFrame()];
  }

  /** True, once: who was told that enough waits may write again. */
  takeDrained(): boolean {
    if (!this.#owesDrain || this.#outBytes > SEND_BUFFER_BYTES / 2) return false;
    this.#owesDrain = false;
    return true;
  }

  /** Bytes of the QUIC stream. A fault is the other end's, and final. */
  receive(chunk: Uint8Array): StreamFault | undefined {
    return this.#reader.feed(chunk);
  }

  /** Shows what came in to `take`, which returns how many bytes it took, until there is no more or it takes no more. */
  read(take: (chunk: Uint8Array) => number): void {
    this.#in.read((chunk) => {
      const taken = take(chunk);
      this.#toGrant += this.#credit.read(taken);
      return taken;
    });
  }

  pollDatagram(): Uint8Array | undefined {
    return this.#inDatagrams.shift();
  }

  /** It is over: what waits is forgotten. */
  close(): void {
    this.#credit.close();
    this.#toGrant = 0;
    this.#fin = "sent";
    this.#in.clear();
    for (const waiting of [this.#out, this.#outDatagrams, this.#inDatagrams]) waiting.length = 0;
  }

  dataBegins(length: number): StreamFault | undefined {
    if (this.#peerFin) return "after_fin";
    return this.#credit.receive(length) ? undefined : "over_credit";
  }

  data(bytes: Uint8Array): void {
    this.#in.push(bytes);
  }

  window(bytes: number): StreamFault | undefined {
    this.#sendCredit += bytes;
    return this.#sendCredit > MAX_SEND_CREDIT ? "absurd_window" : undefined;
  }

  fin(): StreamFault | undefined {
    if (this.#peerFin) return "after_fin";
    this.#peerFin = true;
    return undefined;
  }

  datagram(payload: Uint8Array): StreamFault | undefined {
    if (this.#peerFin) return "after_fin";
    if (this.#inDatagrams.length < MAX_DATAGRAMS) this.#inDatagrams.push(payload);
    else this.droppedDatagrams += 1;
    return undefined;
  }

  #pollData(maxBytes: number): Uint8Array[] | undefined {
    let room = Math.min(maxBytes, this.#sendCredit, this.#outBytes);
    if (room <= 0) return undefined;
    const pieces = [dataHeader(room)];
    this.#sendCredit -= room;
    this.#outBytes -= room;
    while (room > 0) {
      // Invariant: `#outBytes` is what waits, and `room` is no more than that.
      const first = this.#out[0] as Uint8Array;
      const end = Math.min(first.length, this.#outAt + room);
      pieces.push(this.#outAt === 0 && end === first.length ? first : first.subarray(this.#outAt, end));
      room -= end - this.#outAt;
      this.#outAt = end;
      if (end === first.length) {
        this.#out.shift();
        this.#outAt = 0;
      }
    }
    return pieces;
  }
}
