import { type HttpRequest, names } from "../http/head.ts";
import { acceptKey } from "./accept-key.ts";
import { SUBPROTOCOL, WEBSOCKET_VERSION } from "./protocol.ts";

/** 16 bytes in base64 (RFC 6455 §4.1). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** The answer that opens a WebSocket at `path` (RFC 6455 §4.2.2); undefined for a request that asks for anything else. */
export function acceptUpgrade(request: HttpRequest, path: string): Uint8Array | undefined {
  const { method, target, minor, fields } = request;
  const key = fields.get("sec-websocket-key") ?? "";
  const isUpgrade =
    method === "GET" &&
    minor === 1 &&
    target === path &&
    fields.has("host") &&
    names(fields, "upgrade", "websocket") &&
    names(fields, "connection", "upgrade") &&
    fields.get("sec-websocket-version") === WEBSOCKET_VERSION &&
    names(fields, "sec-websocket-protocol", SUBPROTOCOL) &&
    KEY.test(key);
  if (!isUpgrade) return undefined;
  const head = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptKey(key)}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
  ];
  return new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`);
}
