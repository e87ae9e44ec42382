import { describe, expect, test } from "bun:test";
import { parseRequest } from "../../../../src/core/http/head.ts";
import { answerVisitor, refuseVisitor } from "../../../../src/core/http/plain-site.ts";

const DATE = "Sat, 21 Nov 2026 09:00:00 GMT";

function answer(head: string, isLast = false): { text: string; keepsOpen: boolean } {
  const request = parseRequest(head.replaceAll("\n", "\r\n"));
  if (request === undefined) throw new Error("the test's request is none");
  const { bytes, keepsOpen } = answerVisitor(request, DATE, isLast);
  return { text: new TextDecoder().decode(bytes), keepsOpen };
}

const BODY =
  "<!DOCTYPE html>\n<html>\n<head><title>404 Not Found</title></head>\n<body><h1>404 Not Found</h1></body>\n</html>\n";

function notFound(connection: string, body = BODY): string {
  const fields = `Date: ${DATE}\r\nContent-Type: text/html\r\nContent-Length: ${BODY.length}\r\nConnection: ${connection}`;
  return `HTTP/1.1 404 Not Found\r\n${fields}\r\n\r\n${body}`;
}

describe("every page is missing", () => {
  test.each([
    ["GET / HTTP/1.1\nHost: a\n\n", true],
    ["POST /ut HTTP/1.1\nHost: a\nContent-Length: 0\n\n", true],
    ["GET / HTTP/1.1\nHost: a\nConnection: Close\n\n", false],
    ["GET / HTTP/1.0\n\n", false],
    ["GET / HTTP/1.0\nConnection: keep-alive\n\n", true],
    ["POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n", false],
    ["POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n", false],
    ["POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5\n\n", false],
  ])("%j keeps the connection: %p", (head, keepsOpen) => {
    expect(answer(head)).toEqual({ text: notFound(keepsOpen ? "keep-alive" : "close"), keepsOpen });
  });

  test("HEAD has the same fields and no body", () => {
    expect(answer("HEAD / HTTP/1.1\nHost: a\n\n")).toEqual({ text: notFound("keep-alive", ""), keepsOpen: true });
  });
});

test("the last answer of a connection says so", () => {
  expect(answer("GET / HTTP/1.1\nHost: a\n\n", true)).toEqual({ text: notFound("close"), keepsOpen: false });
});

test("HTTP/1.1 without Host is a bad request", () => {
  expect(answer("GET / HTTP/1.1\n\n")).toEqual({
    text: notFound("close").replaceAll("404 Not Found", "400 Bad Request").replace("Length: 109", "Length: 113"),
    keepsOpen: false,
  });
});

test("what is no request is told so, and the connection ends", () => {
  const { bytes, keepsOpen } = refuseVisitor(431, DATE);
  const [line] = new TextDecoder().decode(bytes).split("\r\n");
  expect({ line, keepsOpen }).toEqual({ line: "HTTP/1.1 431 Request Header Fields Too Large", keepsOpen: false });
});
