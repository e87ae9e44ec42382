/**
 * What a probe of `ut udpmon` begins with, big endian; the rest of its payload is zeros:
 *
 *     seq(8) | ns(8)
 *
 * `seq` counts from 0, `ns` is when it was sent, on the sender's monotonic clock. The top bit of `seq` marks an answer:
 * a reflector never answers an answer, so two of them cannot keep a datagram going between each other for ever. A plain
 * echo server, which marks nothing, does as well.
 */
export const HEADER_BYTES = 16;
/** What passes everywhere in one piece, also inside a tunnel. */
export const MAX_PROBE_BYTES = 1_400;

const ANSWER_BIT = 1n << 63n;

export interface ProbeHeader {
  /** 0 to 2⁶³ − 1. */
  readonly seq: bigint;
  /** 0 to 2⁶⁴ − 1. */
  readonly ns: bigint;
  readonly isAnswer: boolean;
}

export type DecodedProbe =
  | ({ readonly ok: true } & ProbeHeader)
  | { readonly ok: false; readonly kind: "too-short" | "too-long" };

/** A probe of `bytes`, 16 to 1,400. */
export function encodeProbe({ seq, ns, isAnswer }: ProbeHeader, bytes: number): Uint8Array {
  const probe = new Uint8Array(bytes);
  const view = new DataView(probe.buffer);
  view.setBigUint64(0, isAnswer ? seq | ANSWER_BIT : seq);
  view.setBigUint64(8, ns);
  return probe;
}

/** Hostile bytes in, a verdict out. What follows the header is not looked at. */
export function decodeProbe(payload: Uint8Array): DecodedProbe {
  if (payload.length < HEADER_BYTES) return { ok: false, kind: "too-short" };
  if (payload.length > MAX_PROBE_BYTES) return { ok: false, kind: "too-long" };
  const view = new DataView(payload.buffer, payload.byteOffset, HEADER_BYTES);
  const marked = view.getBigUint64(0);
  return { ok: true, seq: marked & ~ANSWER_BIT, ns: view.getBigUint64(8), isAnswer: (marked & ANSWER_BIT) !== 0n };
}
