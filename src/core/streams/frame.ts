/**
 * Frames of a stream between two peers, big endian, on one bidirectional QUIC stream:
 *
 *     type(1) | value(4) | bytes
 *
 * DATA and DATAGRAM are followed by `value` bytes; WINDOW lets the other end send `value` bytes of DATA more; FIN says
 * that its sender sends no more DATA, its value is 0. QUIC's own end of stream says nothing: a peer that was killed
 * looks the same to us (FINDINGS "QUIC").
 */
export const FRAME_HEADER_BYTES = 5;
const DATA = 1;
const WINDOW = 2;
const FIN = 3;
const DATAGRAM = 4;

export const MAX_DATAGRAM_BYTES = 65_535;

/** What a peer does who does not keep to the protocol. It costs it the stream. */
export const STREAM_FAULTS = [
  "unknown_frame",
  "bad_length",
  /** More DATA than it was allowed. */
  "over_credit",
  /** WINDOW upon WINDOW, beyond anything that can be meant. */
  "absurd_window",
  "after_fin",
] as const;
export type StreamFault = (typeof STREAM_FAULTS)[number];

/** What hears of frames as they come in. Whatever it finds fault with ends the stream. */
export interface FrameSink {
  /** DATA of so many bytes begins. */
  dataBegins(length: number): StreamFault | undefined;
  /** Some of it: a view into what was fed. */
  data(bytes: Uint8Array): void;
  window(bytes: number): StreamFault | undefined;
  fin(): StreamFault | undefined;
  /** A whole one, the sink's to keep. */
  datagram(payload: Uint8Array): StreamFault | undefined;
}

export function dataHeader(length: number): Uint8Array {
  return header(DATA, length);
}

export function windowFrame(bytes: number): Uint8Array {
  return header(WINDOW, bytes);
}

export function finFrame(): Uint8Array {
  return header(FIN, 0);
}

export function datagramHeader(length: number): Uint8Array {
  return header(DATAGRAM, length);
}

function header(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(1, value);
  return bytes;
}

/** Reads frames out of a stream that is cut anywhere. DATA goes on uncopied; at most one datagram is held. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** Of the DATA under way. */
  #dataLeft = 0;
  #datagram: { readonly payload: Uint8Array; filled: number } | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** A fault is final: nothing is to be fed after it. */
  feed(chunk: Uint8Array): StreamFault | undefined {
    let at = 0;
    while (at < chunk.length) {
      const rest = at === 0 ? chunk : chunk.subarray(at);
      if (this.#dataLeft > 0) at += this.#feedData(rest);
      else if (this.#datagram !== undefined) at += this.#feedDatagram(rest);
      else at += this.#feedHeader(rest);
      const fault = this.#settle();
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #feedData(rest: Uint8Array): number {
    const taken = Math.min(this.#dataLeft, rest.length);
    this.#dataLeft -= taken;
    this.#sink.data(taken === rest.length ? rest : rest.subarray(0, taken));
    return taken;
  }

  #feedDatagram(rest: Uint8Array): number {
    // Invariant: only called while there is one.
    const { payload, filled } = this.#datagram as { payload: Uint8Array; filled: number };
    const taken = Math.min(payload.length - filled, rest.length);
    payload.set(rest.subarray(0, taken), filled);
    this.#datagram = { payload, filled: filled + taken };
    return taken;
  }

  #feedHeader(rest: Uint8Array): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, rest.length);
    this.#header.set(rest.subarray(0, taken), this.#headerBytes);
    this.#headerBytes += taken;
    return taken;
  }

  /** Acts on what is complete. */
  #settle(): StreamFault | undefined {
    const { payload, filled } = this.#datagram ?? {};
    if (payload !== undefined && filled === payload.length) {
      this.#datagram = undefined;
      return this.#sink.datagram(payload);
    }
    if (this.#headerBytes < FRAME_HEADER_BYTES) return undefined;
    this.#headerBytes = 0;
    return this.#begin(this.#header[0] ?? 0, new DataView(this.#header.buffer).getUint32(1));
  }

  #begin(type: number, value: number): StreamFault | undefined {
    switch (type) {
      case DATA:
        if (value === 0) return "bad_length";
        this.#dataLeft = value;
        return this.#sink.dataBegins(value);
      case WINDOW:
        return value === 0 ? "bad_length" : this.#sink.window(value);
      case FIN:
        return value === 0 ? this.#sink.fin() : "bad_length";
      case DATAGRAM:
        if (value > MAX_DATAGRAM_BYTES) return "bad_length";
        if (value === 0) return this.#sink.datagram(new Uint8Array(0));
        this.#datagram = { payload: new Uint8Array(value), filled: 0 };
        return undefined;
      default:
        return "unknown_frame";
    }
  }
}
