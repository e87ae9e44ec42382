import { X25519_KEY_BYTES } from "../crypto-sealing.ts";
import { readU32, writeU32 } from "./packet.ts";

/**
 * What the two ends of a pipe say to each other on flow 0, sealed like everything else:
 *
 *     challenge   1 | token(8) | padding        response    2 | token(8)
 *     close       3 | reason (UTF-8)
 *     rekey       4 | session(4) | key(32)      rekeyed     5 | session(4) | key(32)
 */
export type PipeControl =
  /** Answered on the path it came by. `padding` bytes of nothing make it as large as a path is to be tried with. */
  | { readonly type: "challenge"; readonly token: string; readonly padding: number }
  | { readonly type: "response"; readonly token: string }
  | { readonly type: "close"; readonly reason: string }
  | { readonly type: "rekey" | "rekeyed"; readonly session: number; readonly key: Uint8Array };

export const TOKEN_BYTES = 8;
const MAX_REASON_BYTES = 64;
const CODES = { challenge: 1, response: 2, close: 3, rekey: 4, rekeyed: 5 } as const;
/** Of a challenge without padding. */
export const CHALLENGE_BYTES = 1 + TOKEN_BYTES;
const KEY_MESSAGE_BYTES = 5 + X25519_KEY_BYTES;

export function encodePipeControl(message: PipeControl): Uint8Array {
  switch (message.type) {
    case "challenge":
      return withToken(new Uint8Array(CHALLENGE_BYTES + message.padding), CODES.challenge, message.token);
    case "response":
      return withToken(new Uint8Array(CHALLENGE_BYTES), CODES.response, message.token);
    case "close": {
      const reason = new TextEncoder().encode(message.reason).subarray(0, MAX_REASON_BYTES);
      return Uint8Array.from([CODES.close, ...reason]);
    }
    case "rekey":
    case "rekeyed": {
      const bytes = new Uint8Array(KEY_MESSAGE_BYTES);
      bytes[0] = CODES[message.type];
      writeU32(bytes, 1, message.session);
      bytes.set(message.key, 5);
      return bytes;
    }
    default:
      return message satisfies never;
  }
}

/** Undefined for what another version says. It is authentic, so it is no attack, and is ignored. */
export function decodePipeControl(bytes: Uint8Array): PipeControl | undefined {
  const token = () => bytes.subarray(1, CHALLENGE_BYTES).toHex();
  switch (bytes[0]) {
    case CODES.challenge:
      if (bytes.length < CHALLENGE_BYTES) return undefined;
      return { type: "challenge", token: token(), padding: bytes.length - CHALLENGE_BYTES };
    case CODES.response:
      return bytes.length === CHALLENGE_BYTES ? { type: "response", token: token() } : undefined;
    case CODES.close:
      return { type: "close", reason: new TextDecoder().decode(bytes.subarray(1, 1 + MAX_REASON_BYTES)) };
    case CODES.rekey:
    case CODES.rekeyed:
      if (bytes.length !== KEY_MESSAGE_BYTES) return undefined;
      return {
        type: bytes[0] === CODES.rekey ? "rekey" : "rekeyed",
        session: readU32(bytes, 1),
        key: bytes.slice(5),
      };
    default:
      return undefined;
  }
}

function withToken(bytes: Uint8Array, code: number, token: string): Uint8Array {
  bytes[0] = code;
  bytes.set(Uint8Array.fromHex(token), 1);
  return bytes;
}
