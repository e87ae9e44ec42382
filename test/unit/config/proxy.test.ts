import { describe, expect, test } from "bun:test";
import { formatConfig, plainConfig } from "../../../src/config/format.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { formatProxy, withoutPasswords } from "../../../src/config/proxy.ts";
import { refusal, TLS } from "./config-text.ts";

const SECRET = "p@ss:w/ord";
const URL = `http://clerk:${encodeURIComponent(SECRET)}@[2001:db8::1]:3128`;
const config = (proxy: string) => `role: client\ntcp: { server_addr: "a:1", proxy: "${proxy}" }\n${TLS}`;

describe("a proxy's password", () => {
  test("is read, and shown by nothing that shows a config", () => {
    const parsed = parseConfig(config(URL), "ut.yaml");
    expect(parsed.tcp.proxy).toEqual({ host: "2001:db8::1", port: 3128, credentials: `clerk:${SECRET}` });
    expect(plainConfig(parsed).tcp).toMatchObject({ proxy: "http://clerk:***@[2001:db8::1]:3128" });
    expect(formatConfig(parsed)).toContain("proxy: http://clerk:***@[2001:db8::1]:3128");
  });

  test.each([
    "https://clerk:secret@proxy.example.com:3128",
    "http://clerk:secret@proxy.example.com",
    "http://clerk:sec%ret@proxy.example.com:3128",
    "http://clerk:se/secret@cret@proxy.example.com:99999",
  ])("is not in the message about %s", (url) => {
    const message = refusal(config(url));
    expect(message).toContain("clerk:***@proxy.example.com");
    expect(message).not.toMatch(/sec|cret/);
  });
});

test("a proxy as it would stand in a file", () => {
  expect(formatProxy({ host: "a", port: 1, credentials: undefined })).toBe("http://a:1");
  expect(formatProxy({ host: "a", port: 1, credentials: "me@home:x" })).toBe("http://me%40home:***@a:1");
});

test("a text without the passwords in it: rather too little of it than too much", () => {
  expect(withoutPasswords("http://me:one:two@three@a:1")).toBe("http://me:***@a:1");
  expect(withoutPasswords("http://me@a:1 and https://a:1")).toBe("http://me@a:1 and https://a:1");
  expect(withoutPasswords("http://a:1/b@c and d@e:f")).toBe("http://a:***@e:f");
});
