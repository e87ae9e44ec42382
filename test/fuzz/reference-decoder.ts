/** What a decoder says of a whole stream. */
export interface Decoded {
  readonly pdus: { type: number; flags: number; seq: number; channel: number; payload: string }[];
  readonly error: string | undefined;
  /** The stream ends within a PDU. */
  readonly partial: boolean;
}

/**
 * PDU v1 read from a stream that is there as a whole, as plainly as the format can be written down. It shares no code
 * and no constants with the decoder under test.
 */
export function referenceDecode(stream: Uint8Array, maxCtrlBytes: number): Decoded {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const pdus: Decoded["pdus"] = [];
  let at = 0;
  while (at < stream.length) {
    const rest = stream.subarray(at);
    const error = headerError(rest, maxCtrlBytes);
    if (error !== undefined) return { pdus, error, partial: false };
    if (rest.length < 9) break;
    const length = view.getUint32(at + 5);
    if (rest.length < 9 + length) break;
    const flags = view.getUint8(at + 4);
    const prefixed = flags === 0 ? 0 : 4;
    pdus.push({
      type: view.getUint8(at + 3),
      flags,
      seq: flags === 1 ? view.getUint32(at + 9) : -1,
      channel: flags === 2 ? view.getUint32(at + 9) : -1,
      payload: Buffer.from(rest.subarray(9 + prefixed, 9 + length)).toString("hex"),
    });
    at += 9 + length;
  }
  return { pdus, error: undefined, partial: at < stream.length };
}

/** The first thing that is wrong with a header of which at least one byte is there. */
function headerError(bytes: Uint8Array, maxCtrlBytes: number): string | undefined {
  const [high, low, version, type, flags] = bytes;
  if (high !== 0x55 || (low !== undefined && low !== 0x54)) return "bad_magic";
  if (version !== undefined && version !== 1) return "bad_version";
  if (type !== undefined && type !== 0x01 && type !== 0x10) return "bad_type";
  if (flags !== undefined && (flags > 2 || (type === 0x10 && flags !== 0))) return "bad_flags";
  if (bytes.length < 9) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(5);
  if (length > 65_535) return "bad_length";
  if (flags !== 0 && length < 4) return "bad_length";
  if (type === 0x10 && length > maxCtrlBytes) return "ctrl_too_large";
  return undefined;
}
