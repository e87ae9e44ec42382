import type { WebSocketFault } from "../websocket/protocol.ts";

/**
 * PDU v1, the frame on a lane, big endian:
 *
 *     "UT"(2) | Ver=0x01(1) | Type(1) | Flags(1) | Len(4) | Payload(Len ≤ 65535)
 *
 * Source: seed `ut-agents.txt` "PDU v1", DESIGN "The wire". The encoder writes into the caller's buffer; the decoder
 * takes bytes in any split and copies only a PDU that a split cuts in two.
 */
export const MAGIC_HIGH = 0x55; // "U"
export const MAGIC_LOW = 0x54; // "T"
export const VERSION = 0x01;
export const TYPE_DATA = 0x01;
export const TYPE_CTRL = 0x10;
export const FLAG_SEQ = 0x01;
export const FLAG_CHANNEL = 0x02;
export const HEADER_BYTES = 9;
export const MAX_PAYLOAD_BYTES = 65_535;
/** Bytes of the u32 in front of the datagram when a flag is set. */
export const PREFIX_BYTES = 4;
export const MAX_PDU_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES;

/**
 * Stable names: they are the `kind` label of `ut_frame_err_total`, and those of PDUs stand in `err` messages on the
 * wire. What breaks the WebSocket framing below PDUs (`tcp.transport: wss`) is answered with a close code.
 */
export type FrameErrorKind = PduErrorKind | WebSocketFault;

type PduErrorKind =
  | "bad_magic"
  | "bad_version"
  | "bad_type"
  | "bad_flags"
  | "bad_length"
  | "ctrl_too_large"
  | "ctrl_flood"
  | "bad_ctrl"
  | "bad_hello"
  | "duplicate_hello"
  | "unexpected_data"
  | "slow_pdu";

/** Write the nine header bytes at `offset`. */
export function encodeHeader(into: Uint8Array, offset: number, type: number, flags: number, length: number): void {
  into[offset] = MAGIC_HIGH;
  into[offset + 1] = MAGIC_LOW;
  into[offset + 2] = VERSION;
  into[offset + 3] = type;
  into[offset + 4] = flags;
  writeU32(into, offset + 5, length);
}

/**
 * Write one DATA PDU at `offset` and return the offset behind it. `seq` below 0 means plain DATA.
 * The caller has checked that the datagram fits: `datagram.length + prefix ≤ MAX_PAYLOAD_BYTES`.
 */
export function encodeData(into: Uint8Array, offset: number, datagram: Uint8Array, seq: number): number {
  if (seq >= 0) return encodePrefixed(into, offset, FLAG_SEQ, seq, datagram);
  encodeHeader(into, offset, TYPE_DATA, 0, datagram.length);
  into.set(datagram, offset + HEADER_BYTES);
  return offset + HEADER_BYTES + datagram.length;
}

/** The same for a datagram of a channel (u32). */
export function encodeChannelData(into: Uint8Array, offset: number, datagram: Uint8Array, channel: number): number {
  return encodePrefixed(into, offset, FLAG_CHANNEL, channel, datagram);
}

/** Write one CTRL PDU at `offset` and return the offset behind it. */
export function encodeCtrl(into: Uint8Array, offset: number, payload: Uint8Array): number {
  encodeHeader(into, offset, TYPE_CTRL, 0, payload.length);
  into.set(payload, offset + HEADER_BYTES);
  return offset + HEADER_BYTES + payload.length;
}

/**
 * Incremental decoder of one lane. Feed a chunk, then call `next()` until it says `need-more`:
 *
 *     decoder.feed(chunk);
 *     while (decoder.next() === "pdu") use(decoder.type, decoder.seq, decoder.payload);
 *
 * `payload` is a view into the chunk, or into the decoder's own buffer for a PDU that was cut in two: it is valid
 * until the next `feed`. After an error the decoder stays in error; the stream has no way to find its next frame.
 */
export class PduDecoder {
  type = 0;
  flags = 0;
  /** Sequence number, or -1 without SEQ. */
  seq = -1;
  /** Channel id, or -1 without CHANNEL. */
  channel = -1;
  /** The datagram or control text, without header and prefix. Empty after `need-more`. */
  payload: Uint8Array = EMPTY;
  error: FrameErrorKind | undefined;

  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  #carry: Uint8Array = EMPTY;
  #carried = 0;
  /** The other half of the pair that `#carry` takes turns with: `payload` may still point into it. */
  #lent: Uint8Array = EMPTY;
  readonly #maxCtrlBytes: number;

  constructor(options: { maxCtrlBytes: number }) {
    this.#maxCtrlBytes = options.maxCtrlBytes;
  }

  /** True while the first bytes of a PDU wait for the rest: the slow-sender deadline runs. */
  get partial(): boolean {
    return this.#carried > 0;
  }

  /** Hand in the next bytes of the stream. Everything of the previous chunk must have been taken with `next`. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  next(): "pdu" | "need-more" | "error" {
    if (this.error !== undefined) return "error";
    if (this.#carried > 0) return this.#nextFromCarry();
    const available = this.#chunk.length - this.#offset;
    const total = this.#pduLength(this.#chunk, this.#offset, available);
    if (total < 0) return "error";
    if (total === 0 || available < total) {
      this.#keepRest(available, total);
      return "need-more";
    }
    this.#read(this.#chunk, this.#offset, total);
    this.#offset += total;
    return "pdu";
  }

  /** Complete the PDU whose beginning an earlier chunk held, with no more of this chunk than it needs. */
  #nextFromCarry(): "pdu" | "need-more" | "error" {
    if (this.#carried < HEADER_BYTES) this.#top(HEADER_BYTES);
    // A wrong byte is an error as soon as it is there, not when the header is complete.
    const total = this.#pduLength(this.#carry, 0, this.#carried);
    if (total < 0) return "error";
    if (total === 0 || !this.#top(total)) {
      this.#letGo();
      return "need-more";
    }
    this.#read(this.#carry, 0, total);
    // At most one PDU of a chunk began before it, so its bytes stay untouched until the next chunk has come.
    [this.#carry, this.#lent] = [this.#lent, this.#carry];
    this.#carried = 0;
    return "pdu";
  }

  /** Move bytes from the chunk to the carry until it holds `wanted`; false if the chunk ended first. */
  #top(wanted: number): boolean {
    const take = Math.min(wanted - this.#carried, this.#chunk.length - this.#offset);
    this.#reserve(wanted);
    this.#carry.set(this.#chunk.subarray(this.#offset, this.#offset + take), this.#carried);
    this.#carried += take;
    this.#offset += take;
    return this.#carried >= wanted;
  }

  #keepRest(available: number, total: number): void {
    if (available > 0) {
      this.#reserve(Math.max(total, available, HEADER_BYTES));
      this.#carry.set(this.#chunk.subarray(this.#offset), 0);
      this.#carried = available;
    }
    this.#letGo();
  }

  /**
   * Nothing of the chunk is needed any more. `payload` must not hold on to it either: one view keeps half a megabyte
   * alive until the lane's next datagram, and across a collection that makes the chunk old and slow to die.
   */
  #letGo(): void {
    this.#chunk = EMPTY;
    this.#offset = 0;
    this.payload = EMPTY;
  }

  #reserve(bytes: number): void {
    if (this.#carry.length >= bytes) return;
    const grown = new Uint8Array(Math.max(bytes, 2_048));
    grown.set(this.#carry.subarray(0, this.#carried));
    this.#carry = grown;
  }

  /** Length of the PDU at `offset`, 0 if the header is not complete, -1 (and `error` set) if it cannot be one. */
  #pduLength(bytes: Uint8Array, offset: number, available: number): number {
    if (available >= 1 && bytes[offset] !== MAGIC_HIGH) return this.#fail("bad_magic");
    if (available >= 2 && bytes[offset + 1] !== MAGIC_LOW) return this.#fail("bad_magic");
    if (available >= 3 && bytes[offset + 2] !== VERSION) return this.#fail("bad_version");
    if (available >= 4 && bytes[offset + 3] !== TYPE_DATA && bytes[offset + 3] !== TYPE_CTRL)
      return this.#fail("bad_type");
    if (available >= 5 && !flagsFit(bytes[offset + 3]!, bytes[offset + 4]!)) return this.#fail("bad_flags");
    if (available < HEADER_BYTES) return 0;
    const length = readU32(bytes, offset + 5);
    if (length > MAX_PAYLOAD_BYTES) return this.#fail("bad_length");
    if (bytes[offset + 4] !== 0 && length < PREFIX_BYTES) return this.#fail("bad_length");
    if (bytes[offset + 3] === TYPE_CTRL && length > this.#maxCtrlBytes) return this.#fail("ctrl_too_large");
    return HEADER_BYTES + length;
  }

  #read(bytes: Uint8Array, offset: number, total: number): void {
    // Invariant: a PDU of `total` bytes that `#pduLength` has accepted stands at offset.
    this.type = bytes[offset + 3]!;
    this.flags = bytes[offset + 4]!;
    this.seq = -1;
    this.channel = -1;
    let start = offset + HEADER_BYTES;
    if (this.flags !== 0) {
      const prefix = readU32(bytes, start);
      if (this.flags === FLAG_SEQ) this.seq = prefix;
      else this.channel = prefix;
      start += PREFIX_BYTES;
    }
    this.payload = bytes.subarray(start, offset + total);
  }

  #fail(kind: FrameErrorKind): -1 {
    this.error = kind;
    this.#chunk = EMPTY;
    this.#carried = 0;
    return -1;
  }
}

/** At most one of the known flags, and only on DATA. */
function flagsFit(type: number, flags: number): boolean {
  return flags === 0 || (type === TYPE_DATA && (flags === FLAG_SEQ || flags === FLAG_CHANNEL));
}

function encodePrefixed(into: Uint8Array, offset: number, flag: number, prefix: number, datagram: Uint8Array): number {
  encodeHeader(into, offset, TYPE_DATA, flag, datagram.length + PREFIX_BYTES);
  writeU32(into, offset + HEADER_BYTES, prefix);
  into.set(datagram, offset + HEADER_BYTES + PREFIX_BYTES);
  return offset + HEADER_BYTES + PREFIX_BYTES + datagram.length;
}

function writeU32(into: Uint8Array, offset: number, value: number): void {
  into[offset] = value >>> 24;
  into[offset + 1] = value >>> 16;
  into[offset + 2] = value >>> 8;
  into[offset + 3] = value;
}

function readU32(bytes: Uint8Array, offset: number): number {
  // Invariant: the caller has checked that four bytes stand at offset.
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

const EMPTY = new Uint8Array(0);
