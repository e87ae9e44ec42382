import type { RandomBytes } from "../machine.ts";
import { applyMask } from "./mask.ts";
import {
  FIN,
  LENGTH_16,
  LENGTH_64,
  MASK_BYTES,
  MASKED,
  MAX_CONTROL_BYTES,
  MAX_HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  OPCODE,
} from "./protocol.ts";

/** Headers of a frame in the making and of two control frames in front of it. */
const MAX_AHEAD_BYTES = MAX_HEADER_BYTES + 2 * (MAX_CONTROL_BYTES + MAX_HEADER_BYTES);
/** Keys are drawn in bulk: a call for four random bytes costs more than masking a packet. */
const KEY_POOL_BYTES = 1024;

/**
 * What is about to be written, of whichever lane writes now: the bytes of a `put` go to the socket before anything else
 * happens, so all lanes share one buffer.
 */
let shared: Uint8Array = new Uint8Array(MAX_AHEAD_BYTES + 32 * 1024);

/**
 * Puts bytes of a stream into binary frames, one for each `put` (RFC 6455 §5.2), masked at a client:
 *
 *     writer.put(bytes, start, end);
 *     const taken = writer.wrote(socket.write(writer.out, 0, writer.length));
 *
 * A socket may take less than all. The frame is begun then and its length is said, so the next `put` must bring the same
 * bytes from where the last one was cut; nothing of them is kept here.
 */
export class FrameWriter {
  /** The first `length` bytes of `out` are to be written. Valid until the next `put`, of any writer. */
  length = 0;
  readonly #random: RandomBytes | undefined;
  /** Headers and control frames that go out before any payload. */
  readonly #ahead = new Uint8Array(MAX_AHEAD_BYTES);
  #aheadBytes = 0;
  /** Payload of the frame that was begun and is not sent yet. */
  #left = 0;
  #phase = 0;
  readonly #key = new Uint8Array(MASK_BYTES);
  #keys: Uint8Array = new Uint8Array(0);
  #keysUsed = 0;
  /** A control frame that waits for the end of the frame that was begun; a newer one replaces it. */
  #waiting: { readonly opcode: number; readonly payload: Uint8Array } | undefined;

  /** `random` at a client, which must mask. */
  constructor(random: RandomBytes | undefined) {
    this.#random = random;
  }

  get out(): Uint8Array {
    return shared;
  }

  /** A frame was begun and its payload is not all sent: nothing else may go out before. */
  get isInFrame(): boolean {
    return this.#left > 0;
  }

  /** Headers or control frames wait for the socket although no payload does. */
  get hasAhead(): boolean {
    return this.#aheadBytes > 0 && this.#left === 0;
  }

  /** Begin a frame with `bytes[start, end)`, or go on with the one that was begun. Nothing to put: what waits ahead. */
  put(bytes: Uint8Array, start: number, end: number): void {
    if (this.#left === 0 && end > start) this.#begin(Math.min(end - start, MAX_MESSAGE_BYTES));
    const take = Math.min(this.#left, end - start);
    const from = this.#aheadBytes;
    this.length = from + take;
    if (shared.length < this.length) shared = new Uint8Array(this.length);
    shared.set(this.#ahead.subarray(0, from));
    shared.set(bytes.subarray(start, start + take), from);
    if (this.#random !== undefined) applyMask(shared, from, this.length, this.#key, this.#phase);
  }

  /** The socket took the first `bytes` of `out`. Returns how many of them were payload. */
  wrote(bytes: number): number {
    const ahead = Math.min(bytes, this.#aheadBytes);
    this.#ahead.copyWithin(0, ahead, this.#aheadBytes);
    this.#aheadBytes -= ahead;
    const payload = bytes - ahead;
    this.#left -= payload;
    this.#phase += payload;
    if (this.#left === 0) this.#putWaiting();
    return payload;
  }

  /** Queue a control frame; `payload` at most 125 bytes. It goes out with the next `put` that may carry it. */
  control(opcode: number, payload: Uint8Array): void {
    this.#waiting = { opcode, payload };
    if (this.#left === 0) this.#putWaiting();
  }

  #begin(length: number): void {
    this.#header(OPCODE.binary, length);
    this.#left = length;
    this.#phase = 0;
  }

  /** Left where it is while another one has not gone out, so that a peer who only pings cannot make this grow. */
  #putWaiting(): void {
    if (this.#waiting === undefined || this.#aheadBytes > MAX_HEADER_BYTES + MAX_CONTROL_BYTES) return;
    const { opcode, payload } = this.#waiting;
    this.#waiting = undefined;
    this.#header(opcode, payload.length);
    const start = this.#aheadBytes;
    this.#ahead.set(payload, start);
    this.#aheadBytes += payload.length;
    if (this.#random !== undefined) applyMask(this.#ahead, start, this.#aheadBytes, this.#key, 0);
  }

  #header(opcode: number, length: number): void {
    const into = this.#ahead;
    const masked = this.#random === undefined ? 0 : MASKED;
    into[this.#aheadBytes++] = FIN | opcode;
    if (length < LENGTH_16) into[this.#aheadBytes++] = masked | length;
    else if (length < 2 ** 16) {
      into[this.#aheadBytes++] = masked | LENGTH_16;
      this.#number(length, 2);
    } else {
      into[this.#aheadBytes++] = masked | LENGTH_64;
      this.#number(length, 8);
    }
    if (this.#random === undefined) return;
    this.#drawKey(this.#random);
    into.set(this.#key, this.#aheadBytes);
    this.#aheadBytes += MASK_BYTES;
  }

  /** Big endian. A length has fewer than 32 bits. */
  #number(value: number, bytes: number): void {
    for (let shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      this.#ahead[this.#aheadBytes++] = shift >= 32 ? 0 : value >>> shift;
  }

  /** RFC 6455 §5.3: a new key for each frame, that nobody can foretell. */
  #drawKey(random: RandomBytes): void {
    if (this.#keysUsed === this.#keys.length) {
      this.#keys = random(KEY_POOL_BYTES);
      this.#keysUsed = 0;
    }
    this.#key.set(this.#keys.subarray(this.#keysUsed, this.#keysUsed + MASK_BYTES));
    this.#keysUsed += MASK_BYTES;
  }
}
