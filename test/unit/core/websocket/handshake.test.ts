import { describe, expect, test } from "bun:test";
import { parseRequest, parseResponse } from "../../../../src/core/http/head.ts";
import { acceptKey } from "../../../../src/core/websocket/accept-key.ts";
import { judgeUpgradeAnswer, upgradeRequest } from "../../../../src/core/websocket/client-handshake.ts";
import { acceptUpgrade } from "../../../../src/core/websocket/server-handshake.ts";
import { hex } from "../../../bytes.ts";

/** RFC 6455 §1.3: the key is the base64 of "the sample nonce". */
const NONCE = new TextEncoder().encode("the sample nonce");
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const REQUEST = `GET /ut HTTP/1.1\r
Host: ut.example\r
Connection: Upgrade\r
Upgrade: websocket\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: ${KEY}\r
Sec-WebSocket-Protocol: ut.v1\r
\r
`;
const ANSWER = `HTTP/1.1 101 Switching Protocols\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Accept: ${ACCEPT}\r
Sec-WebSocket-Protocol: ut.v1\r
\r
`;

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : new TextDecoder().decode(bytes));

test("the accept key of RFC 6455 §1.3", () => expect(acceptKey(KEY)).toBe(ACCEPT));

test("a client's request", () => {
  const { bytes, key } = upgradeRequest({ host: "ut.example", path: "/ut" }, () => NONCE);
  expect({ text: text(bytes), key }).toEqual({ text: REQUEST, key: KEY });
});

describe("a server", () => {
  const accept = (head: string, path = "/ut") => {
    const request = parseRequest(head);
    if (request === undefined) throw new Error("the test's request is none");
    return text(acceptUpgrade(request, path));
  };

  test("accepts it", () => expect(accept(REQUEST)).toBe(ANSWER));

  test("accepts what other clients say", () => {
    const other = REQUEST.replace("Connection: Upgrade", "connection: keep-alive, upgrade")
      .replace("Upgrade: websocket", "UPGRADE: WebSocket")
      .replace("ut.v1", "chat, ut.v1")
      .replace("\r\n\r\n", "\r\nOrigin: https://ut.example\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    expect(accept(other)).toBe(ANSWER);
  });

  test.each([
    ["another method", "GET /", "POST /"],
    ["HTTP/1.0", "HTTP/1.1", "HTTP/1.0"],
    ["another path", "/ut", "/ut/"],
    ["a query", "/ut", "/ut?"],
    ["the whole URL as target", "/ut", "https://ut.example/ut"],
    ["no Host", "Host:", "X-Host:"],
    ["no Upgrade", "Upgrade: w", "X-Upgrade: w"],
    ["another upgrade", "websocket\r", "h2c\r"],
    ["no Connection", "Connection:", "X-Connection:"],
    ["another version", "Version: 13", "Version: 8"],
    ["two versions", "Version: 13", "Version: 13, 8"],
    ["no subprotocol", "Sec-WebSocket-Protocol:", "X-Protocol:"],
    ["another subprotocol", "ut.v1", "ut.v2"],
    ["no key", "Sec-WebSocket-Key:", "X-Key:"],
    ["a key of 15 bytes", KEY, "dGhlIHNhbXBsZSBub25j"],
    ["a key that is not base64", KEY, "dGhlIHNhbXBsZSBub25j!A=="],
    ["two keys", `Key: ${KEY}`, `Key: ${KEY}\r\nSec-WebSocket-Key: ${KEY}`],
  ])("passes over %s", (_name, from, to) => expect(accept(REQUEST.replace(from, to))).toBeUndefined());
});

describe("a client", () => {
  const judge = (answer: string) => {
    const response = parseResponse(answer);
    if (response === undefined) throw new Error("the test's answer is none");
    return judgeUpgradeAnswer(response, KEY);
  };

  test("takes the server's answer", () => expect(judge(ANSWER)).toBeUndefined());

  test.each([
    [
      "101 Switching Protocols",
      "404 Not Found",
      "it answered 404 Not Found; check that tcp.wss.path is the same at both ends, and in the server's log whether it refused this certificate",
    ],
    ["Upgrade: websocket", "Upgrade: h2c", "its answer upgrades to something else"],
    ["Connection: Upgrade", "Connection: close", "its answer upgrades to something else"],
    [ACCEPT, `x${ACCEPT}`, "its answer does not fit the request"],
    ["Sec-WebSocket-Protocol:", "X:", "it did not choose the subprotocol ut.v1, so it is no ut server"],
    ["ut.v1", "chat", "it did not choose the subprotocol ut.v1, so it is no ut server"],
    ["ut.v1", "ut.v1\r\nSec-WebSocket-Extensions: permessage-deflate", "it chose an extension that nobody asked for"],
  ])("does not take %j as %j", (from, to, problem) => expect(judge(ANSWER.replace(from, to))).toBe(problem));
});

test("each request has a key of its own", () => {
  const key = (nonce: string) => upgradeRequest({ host: "a", path: "/" }, () => hex(nonce)).key;
  expect(key("000102030405060708090a0b0c0d0e0f")).toBe("AAECAwQFBgcICQoLDA0ODw==");
});
