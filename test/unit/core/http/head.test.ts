import { describe, expect, test } from "bun:test";
import { HeadReader, type HeadReading, names, parseRequest, parseResponse } from "../../../../src/core/http/head.ts";
import { concat, hex, utf8 } from "../../../bytes.ts";

const REQUEST = "GET /a?b HTTP/1.1\r\nHost: a.example\r\nX-One:  two \r\nx-one: three\r\nEmpty:\r\n\r\n";

function read(bytes: Uint8Array, cuts: readonly number[] = [], maxBytes = 200): HeadReading {
  const reader = new HeadReader(maxBytes);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const reading = reader.feed(bytes.subarray(from, to));
    if (reading.state !== "need-more") return reading;
    from = to;
  }
  return { state: "need-more" };
}

describe("a head", () => {
  test("ends with an empty line, wherever it is cut", () => {
    const bytes = utf8(`${REQUEST}behind`);
    for (let cut = 0; cut <= REQUEST.length; cut++) {
      const rest = cut === REQUEST.length ? "" : "behind";
      expect(read(bytes, [cut])).toEqual({ state: "whole", text: REQUEST, rest: utf8(rest) });
    }
  });

  test("may have bare line feeds, and empty lines before it", () => {
    const text = "GET / HTTP/1.0\nA: b\n\n";
    expect(read(utf8(`\r\n\n${text}`))).toEqual({ state: "whole", text, rest: utf8("") });
  });

  test("that is not over yet", () => {
    expect(read(utf8("GET / HTTP/1.1\r\nHost: a\r\n"))).toEqual({ state: "need-more" });
    expect(read(utf8("\r\n"))).toEqual({ state: "need-more" });
  });

  test("is refused at its first byte beyond the bound", () => {
    const line = `GET /${"a".repeat(195)}`;
    expect(read(utf8(line))).toEqual({ state: "need-more" });
    expect(read(utf8(`${line}a`))).toEqual({ state: "bad", kind: "too-large" });
  });

  test.each([
    ["a frame of ut", "5554 01"],
    ["a TLS record", "16 0301"],
    ["a NUL in the middle", "47 45 54 20 00"],
    ["DEL", "7f"],
  ])("with control characters is refused at once: %s", (_name, bytes) => {
    expect(read(hex(bytes))).toEqual({ state: "bad", kind: "malformed" });
  });
});

test("a request: method, target, version and fields, those that come twice joined", () => {
  expect(parseRequest(REQUEST)).toEqual({
    method: "GET",
    target: "/a?b",
    minor: 1,
    fields: new Map([
      ["host", "a.example"],
      ["x-one", "two, three"],
      ["empty", ""],
    ]),
  });
  expect(parseRequest("M-SEARCH * HTTP/1.0\n\n")).toEqual({
    method: "M-SEARCH",
    target: "*",
    minor: 0,
    fields: new Map(),
  });
});

test.each([
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\n"],
  ["no target", "GET HTTP/1.1\r\n\r\n"],
  ["a target with a space", "GET /a b HTTP/1.1\r\n\r\n"],
  ["a field without a colon", "GET / HTTP/1.1\r\nHost a\r\n\r\n"],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
  ["a folded field", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"],
  ["101 fields", `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(101)}\r\n`],
])("no request: %s", (_name, head) => expect(parseRequest(head)).toBeUndefined());

test("a response: status and reason, which may be missing", () => {
  const fields = new Map([["a", "b"]]);
  expect(parseResponse("HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n")).toEqual({
    status: 200,
    reason: "Connection established",
    fields,
  });
  expect(parseResponse("HTTP/1.0 407\r\nA: b\r\n\r\n")).toEqual({ status: 407, reason: "", fields });
  expect(parseResponse("HTTP/1.1 2000 OK\r\n\r\n")).toBeUndefined();
  expect(parseResponse("220 mail.example ESMTP\r\n\r\n")).toBeUndefined();
});

test("the words of a list field, in whatever case", () => {
  const fields = new Map([["connection", "keep-alive, Upgrade"]]);
  expect(["upgrade", "UPGRADE", "keep-alive", "keep", ""].map((word) => names(fields, "connection", word))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(names(fields, "upgrade", "websocket")).toBe(false);
});

test("bytes beyond ASCII are kept apart from each other, not decoded", () => {
  const bytes = concat([utf8("GET / HTTP/1.1\r\nA: "), hex("c3a9"), utf8("\r\n\r\n")]);
  const reading = read(bytes);
  expect(reading.state === "whole" && parseRequest(reading.text)?.fields.get("a")).toBe("\u00c3\u00a9");
});
