import { describe, expect, test } from "bun:test";
import { parseGatewayUrl } from "../../../../src/core/portmap/gateway-url.ts";

const GATEWAY = "192.168.1.1";

describe("stays on the gateway", () => {
  test.each([
    ["http://192.168.1.1/igd.xml", { port: 80, path: "/igd.xml" }],
    ["http://192.168.1.1:5000/igd.xml?a=1&b=2#part", { port: 5000, path: "/igd.xml?a=1&b=2" }],
    ["HTTP://192.168.1.1:5000", { port: 5000, path: "/" }],
    ["http://192.168.1.1:5000/../../etc", { port: 5000, path: "/etc" }],
    ["http://192.168.1.1:5000/a b\r\nHost: x", { port: 5000, path: "/a%20bHost:%20x" }],
    // The same address in other words.
    ["http://3232235777:5000/", { port: 5000, path: "/" }],
    ["http://0xc0.0xa8.1.1/", { port: 80, path: "/" }],
  ])("%j", (text, url) => expect(parseGatewayUrl(text, GATEWAY)).toEqual({ ok: true, url }));

  test.each([
    ["ctl", "/desc/ctl"],
    ["/ctl", "/ctl"],
    ["?a", "/desc/root.xml?a"],
    ["", "/desc/root.xml"],
  ])("%j beside /desc/root.xml", (text, path) => {
    const url = { port: 5000, path };
    expect(parseGatewayUrl(text, GATEWAY, { port: 5000, path: "/desc/root.xml" })).toEqual({ ok: true, url });
  });
});

describe("is refused", () => {
  test.each([
    ["http://192.168.1.2/", "leaves-gateway"],
    ["http://192.168.1.1.example.com/", "leaves-gateway"],
    ["http://192.168.1.1@192.0.2.9/", "leaves-gateway"],
    ["http://user@192.168.1.1/", "leaves-gateway"],
    ["http://router.lan/", "leaves-gateway"],
    ["http://localhost/", "leaves-gateway"],
    ["http://[::1]/", "leaves-gateway"],
    ["//192.0.2.9/ctl", "leaves-gateway"],
    ["\\\\192.0.2.9\\ctl", "leaves-gateway"],
    ["https://192.168.1.1/", "not-http"],
    ["file:///etc/passwd", "not-http"],
    ["javascript:alert(1)", "not-http"],
    ["http://192.168.1.1:99999/", "not-a-url"],
    ["http://", "not-a-url"],
    [`http://192.168.1.1/${"a".repeat(1_024)}`, "not-a-url"],
  ])("%j: %s", (text, kind) => {
    const base = { port: 5000, path: "/desc/root.xml" };
    expect(parseGatewayUrl(text, GATEWAY, base)).toEqual({ ok: false, kind } as never);
  });

  test("a relative one without anything to stand beside", () => {
    expect(parseGatewayUrl("/ctl", GATEWAY)).toEqual({ ok: false, kind: "not-a-url" });
  });
});
