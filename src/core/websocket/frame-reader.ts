import { applyMask } from "./mask.ts";
import {
  FIN,
  LENGTH_16,
  LENGTH_64,
  LENGTH_BITS,
  MASK_BYTES,
  MASKED,
  MAX_CONTROL_BYTES,
  MAX_HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  OPCODE,
  OPCODE_BITS,
  RESERVED_BITS,
  type WebSocketFault,
} from "./protocol.ts";

/** What `next` found: bytes of the stream, a control frame, nothing more in this chunk, or the end. */
export type FrameEvent = "data" | "ping" | "pong" | "close" | "need-more" | "error";

/**
 * Takes a stream out of binary frames (RFC 6455 §5.2), from bytes in any split. Where frames and messages begin and end
 * means nothing to the stream, so payload is handed on as it comes, and no frame is ever collected:
 *
 *     reader.feed(chunk);
 *     for (let event = reader.next(); event !== "need-more"; event = reader.next()) use(event, reader.payload);
 *
 * Masking is taken off in place: the chunk must be the reader's. After an error the reader stays in error.
 */
export class FrameReader {
  /** Of `data` a view into the chunk, of control frames a copy; valid until the next call. */
  payload: Uint8Array = EMPTY;
  error: WebSocketFault | undefined;
  readonly #isMasked: boolean;
  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  readonly #header = new Uint8Array(MAX_HEADER_BYTES);
  #headerBytes = 0;
  /** Of the frame whose header is whole; -1 between frames. */
  #opcode = -1;
  #isFinal = false;
  #left = 0;
  #phase = 0;
  readonly #key = new Uint8Array(MASK_BYTES);
  /** Payload of the message so far; -1 between messages. */
  #messageBytes = -1;
  readonly #control = new Uint8Array(MAX_CONTROL_BYTES);
  #controlBytes = 0;

  /** `isMasked`: frames come from a client, which must mask (RFC 6455 §5.1), as a server must not. */
  constructor(isMasked: boolean) {
    this.#isMasked = isMasked;
  }

  /** Hand in the next bytes. Everything of the previous chunk must have been taken with `next`. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  next(): FrameEvent {
    for (;;) {
      if (this.error !== undefined) return "error";
      if (this.#opcode === -1 && !this.#readHeader()) return this.error === undefined ? this.#needMore() : "error";
      const isControl = this.#opcode >= OPCODE.close;
      const event = isControl ? this.#readControl() : this.#readData();
      if (event !== undefined) return event;
    }
  }

  /** Of a frame in the middle of a message none; of an empty one, too. */
  #readData(): FrameEvent | undefined {
    const take = Math.min(this.#left, this.#chunk.length - this.#offset);
    if (take === 0 && this.#left > 0) return this.#needMore();
    this.payload = this.#take(take);
    if (this.#left === 0) {
      if (this.#isFinal) this.#messageBytes = -1;
      this.#opcode = -1;
    }
    return take > 0 ? "data" : undefined;
  }

  #readControl(): FrameEvent {
    const part = this.#take(Math.min(this.#left, this.#chunk.length - this.#offset));
    this.#control.set(part, this.#controlBytes);
    this.#controlBytes += part.length;
    if (this.#left > 0) return this.#needMore();
    this.payload = this.#control.slice(0, this.#controlBytes);
    const opcode = this.#opcode;
    this.#opcode = -1;
    this.#controlBytes = 0;
    if (opcode === OPCODE.ping) return "ping";
    if (opcode === OPCODE.pong) return "pong";
    return isCloseBody(this.payload) ? "close" : this.#fail("ws_control");
  }

  /** The next bytes of the frame's payload, unmasked. */
  #take(bytes: number): Uint8Array {
    const start = this.#offset;
    const end = start + bytes;
    if (this.#isMasked) applyMask(this.#chunk, start, end, this.#key, this.#phase);
    this.#offset = end;
    this.#phase += bytes;
    this.#left -= bytes;
    return this.#chunk.subarray(start, end);
  }

  /** False: the chunk ended first, or the header is refused, as soon as its bytes tell. */
  #readHeader(): boolean {
    while (this.#offset < this.#chunk.length) {
      // Invariant: offset < length, and a header is complete before #header is full.
      this.#header[this.#headerBytes++] = this.#chunk[this.#offset++]!;
      if (this.#headerBytes === 1) this.#judgeFirst();
      else if (this.#headerBytes === 2) this.#judgeSecond();
      if (this.error !== undefined) return false;
      if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerLength()) return this.#begin();
    }
    return false;
  }

  #judgeFirst(): void {
    const first = this.#header[0]!;
    const opcode = first & OPCODE_BITS;
    const isKnown = opcode <= OPCODE.binary || (opcode >= OPCODE.close && opcode <= OPCODE.pong);
    if ((first & RESERVED_BITS) !== 0 || !isKnown) this.#fail("ws_reserved");
    else if (opcode === OPCODE.text) this.#fail("ws_text");
    else if (opcode >= OPCODE.close) {
      if ((first & FIN) === 0) this.#fail("ws_control");
    } else if ((opcode === OPCODE.continuation) !== this.#messageBytes >= 0) this.#fail("ws_fragment");
  }

  #judgeSecond(): void {
    const second = this.#header[1]!;
    const isControl = (this.#header[0]! & OPCODE_BITS) >= OPCODE.close;
    if (((second & MASKED) !== 0) !== this.#isMasked) this.#fail("ws_mask");
    else if (isControl && (second & LENGTH_BITS) > MAX_CONTROL_BYTES) this.#fail("ws_control");
  }

  #headerLength(): number {
    const length = this.#header[1]! & LENGTH_BITS;
    const extended = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0;
    return 2 + extended + (this.#isMasked ? MASK_BYTES : 0);
  }

  /** The header is whole. False when its length is refused. */
  #begin(): boolean {
    const short = this.#header[1]! & LENGTH_BITS;
    const extended = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
    const length = extended === 0 ? short : this.#number(2, extended);
    // RFC 6455 §5.2: the shortest form must be used.
    if ((extended === 2 && length < LENGTH_16) || (extended === 8 && length < 2 ** 16)) {
      this.#fail("ws_length");
      return false;
    }
    this.#opcode = this.#header[0]! & OPCODE_BITS;
    this.#isFinal = (this.#header[0]! & FIN) !== 0;
    this.#left = length;
    this.#phase = 0;
    this.#key.set(this.#header.subarray(2 + extended, this.#headerBytes));
    this.#headerBytes = 0;
    if (this.#opcode >= OPCODE.close) return true;
    this.#messageBytes = Math.max(0, this.#messageBytes) + length;
    if (this.#messageBytes > MAX_MESSAGE_BYTES) this.#fail("ws_too_large");
    return this.error === undefined;
  }

  /** Big endian. Beyond 53 bits it is not exact, and far too large either way. */
  #number(start: number, bytes: number): number {
    let value = 0;
    for (let i = start; i < start + bytes; i++) value = value * 256 + this.#header[i]!;
    return value;
  }

  /** Nothing of the chunk is needed any more: a view of it would keep it alive. */
  #needMore(): "need-more" {
    this.#chunk = EMPTY;
    this.#offset = 0;
    this.payload = EMPTY;
    return "need-more";
  }

  #fail(fault: WebSocketFault): "error" {
    this.error = fault;
    this.#needMore();
    return "error";
  }
}

/** Nothing, or a code that may stand on the wire and a text (RFC 6455 §5.5.1, §7.4). */
function isCloseBody(body: Uint8Array): boolean {
  if (body.length === 0) return true;
  if (body.length === 1) return false;
  const code = body[0]! * 256 + body[1]!;
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

const EMPTY = new Uint8Array(0);
