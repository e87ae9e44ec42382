import { type HttpResponse, names } from "../http/head.ts";
import type { RandomBytes } from "../machine.ts";
import { acceptKey, base64 } from "./accept-key.ts";
import { SUBPROTOCOL, WEBSOCKET_VERSION } from "./protocol.ts";

export interface UpgradeTarget {
  /** The `Host` field: a name, with its port unless that is 443. */
  readonly host: string;
  readonly path: string;
}

/** A client's request to open a WebSocket (RFC 6455 §4.1), and the key that the answer must fit. */
export interface UpgradeRequest {
  readonly bytes: Uint8Array;
  readonly key: string;
}

export function upgradeRequest({ host, path }: UpgradeTarget, random: RandomBytes): UpgradeRequest {
  const key = base64(random(16));
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    `Sec-WebSocket-Version: ${WEBSOCKET_VERSION}`,
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
  ];
  return { bytes: new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`), key };
}

/** Why a server's answer does not open the WebSocket, in words that say what to do; undefined when it does. */
export function judgeUpgradeAnswer(answer: HttpResponse, key: string): string | undefined {
  const { status, reason, fields } = answer;
  if (status !== 101)
    return `it answered ${status} ${reason}; check that tcp.wss.path is the same at both ends, and in the server's log whether it refused this certificate`;
  if (!names(fields, "upgrade", "websocket") || !names(fields, "connection", "upgrade"))
    return "its answer upgrades to something else";
  if (fields.get("sec-websocket-accept") !== acceptKey(key)) return "its answer does not fit the request";
  if (fields.get("sec-websocket-protocol") !== SUBPROTOCOL)
    return `it did not choose the subprotocol ${SUBPROTOCOL}, so it is no ut server`;
  if (fields.has("sec-websocket-extensions")) return "it chose an extension that nobody asked for";
  return undefined;
}
