import { describe, expect, test } from "bun:test";
import { connectRequest, judgeConnect } from "../../../../src/core/http/connect.ts";

const TARGET = { host: "ut.example", port: 443 };

describe("a request for a tunnel", () => {
  const text = (...args: Parameters<typeof connectRequest>) => new TextDecoder().decode(connectRequest(...args));

  test("names the server, which the proxy looks up", () => {
    expect(text(TARGET, undefined)).toBe("CONNECT ut.example:443 HTTP/1.1\r\nHost: ut.example:443\r\n\r\n");
    expect(text({ host: "2001:db8::1", port: 5443 }, undefined)).toBe(
      "CONNECT [2001:db8::1]:5443 HTTP/1.1\r\nHost: [2001:db8::1]:5443\r\n\r\n",
    );
  });

  test("carries user and password as RFC 7617 has them", () => {
    expect(text(TARGET, "Aladdin:open sesame")).toContain(
      "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
    );
    // RFC 7617 §2.1: the user "test" with the password "123£", in UTF-8.
    expect(text(TARGET, "test:123£")).toContain("\r\nProxy-Authorization: Basic dGVzdDoxMjPCow==\r\n");
  });
});

describe("a proxy's answer", () => {
  const judge = (status: number, reason: string, authenticate?: string, credentials?: string) =>
    judgeConnect(
      { status, reason, fields: new Map(authenticate === undefined ? [] : [["proxy-authenticate", authenticate]]) },
      TARGET,
      credentials,
    );

  test("of 2xx is the tunnel", () => {
    expect([judge(200, "Connection established"), judge(204, "")]).toEqual([undefined, undefined]);
  });

  const REFUSALS: readonly (readonly [answer: Parameters<typeof judge>, problem: string])[] = [
    [
      [403, "Forbidden"],
      "it answered 403 Forbidden to CONNECT ut.example:443; many proxies allow only port 443, and the proxy must be able to reach the server",
    ],
    [
      [502, ""],
      "it answered 502 to CONNECT ut.example:443; many proxies allow only port 443, and the proxy must be able to reach the server",
    ],
    [
      [407, "Proxy Authentication Required", `Basic realm="office"`],
      "it answered 407 Proxy Authentication Required: it wants a user and a password; set tcp.proxy to http://USER:PASSWORD@HOST:PORT",
    ],
    [
      [407, "No", `Negotiate, basic realm="office"`, "me:secret"],
      "it answered 407 No: it does not take this user and password; correct them in tcp.proxy",
    ],
    [
      [401, "Unauthorized", undefined, "me:wrong"],
      "it answered 401 Unauthorized: it does not take this user and password; correct them in tcp.proxy",
    ],
    [
      [407, "No", "NTLM", "me:secret"],
      "it answered 407 No and takes only NTLM authentication, which ut does not speak; it needs Basic",
    ],
    [
      [407, "No", undefined, "me:secret"],
      "it answered 407 No: it does not take this user and password; correct them in tcp.proxy",
    ],
  ];

  test.each(REFUSALS)("%j says what to do", (answer, problem) => expect(judge(...answer)).toBe(problem));
});
