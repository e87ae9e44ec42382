/** What a reader says of a whole stream of WebSocket frames. */
export interface FramesRead {
  /** The stream inside, as hex; control frames in between as `<opcode:hex>`. */
  readonly said: string;
  readonly error: string | undefined;
}

/**
 * RFC 6455 §5 read from bytes that are there as a whole, as plainly as it can be written down: binary messages of up to
 * 1 MiB, no extensions. It shares no code and no constants with the reader under test.
 */
export function referenceFrames(bytes: Uint8Array, fromClient: boolean): FramesRead {
  let said = "";
  let at = 0;
  let message = -1;
  for (;;) {
    const rest = bytes.subarray(at);
    const [first, second] = rest;
    if (first === undefined) return { said, error: undefined };
    const opcode = first % 16;
    const isFinal = first >= 128;
    if ((first & 0x70) !== 0 || ![0, 1, 2, 8, 9, 10].includes(opcode)) return { said, error: "ws_reserved" };
    if (opcode === 1) return { said, error: "ws_text" };
    if (opcode >= 8 && !isFinal) return { said, error: "ws_control" };
    if (opcode === 0 && message === -1) return { said, error: "ws_fragment" };
    if (opcode === 2 && message !== -1) return { said, error: "ws_fragment" };
    if (second === undefined) return { said, error: undefined };
    if (second >= 128 !== fromClient) return { said, error: "ws_mask" };
    const short = second % 128;
    if (opcode >= 8 && short > 125) return { said, error: "ws_control" };
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const header = 2 + lengthBytes + (fromClient ? 4 : 0);
    if (rest.length < header) return { said, error: undefined };
    let length = BigInt(short);
    if (lengthBytes > 0) length = BigInt(`0x${Buffer.from(rest.subarray(2, 2 + lengthBytes)).toString("hex")}`);
    if (lengthBytes === 2 && length < 126n) return { said, error: "ws_length" };
    if (lengthBytes === 8 && length < 65_536n) return { said, error: "ws_length" };
    if (opcode < 8) {
      if (BigInt(Math.max(0, message)) + length > 1_048_576n) return { said, error: "ws_too_large" };
      message = Math.max(0, message) + Number(length);
    }
    const key = fromClient ? rest.subarray(header - 4, header) : [0, 0, 0, 0];
    const payload = rest.slice(header, header + Number(length)).map((byte, i) => byte ^ (key[i % 4] ?? 0));
    if (opcode < 8) {
      said += Buffer.from(payload).toString("hex");
      if (isFinal && payload.length === Number(length)) message = -1;
    } else if (payload.length === Number(length)) {
      if (opcode === 8 && !isGoodClose(payload)) return { said, error: "ws_control" };
      said += `<${opcode}:${Buffer.from(payload).toString("hex")}>`;
    }
    if (payload.length < Number(length)) return { said, error: undefined };
    at += header + Number(length);
  }
}

function isGoodClose(payload: Uint8Array): boolean {
  if (payload.length === 0) return true;
  if (payload.length === 1) return false;
  const code = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
  if (code === 1004 || code === 1005 || code === 1006) return false;
  return (code >= 1000 && code < 1015) || (code >= 3000 && code < 5000);
}
