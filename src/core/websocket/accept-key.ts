import { sha1 } from "../crypto.ts";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2): proof that a WebSocket server read it. */
export function acceptKey(key: string): string {
  return base64(sha1(new TextEncoder().encode(key + GUID)));
}

export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
