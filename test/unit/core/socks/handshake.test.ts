import { describe, expect, test } from "bun:test";
import { NO_ADDRESS } from "../../../../src/core/socks/address.ts";
import { type HandshakeStep, ProxyHandshake } from "../../../../src/core/socks/handshake.ts";
import { REPLIES, type Reply } from "../../../../src/core/socks/reply.ts";
import { authenticator } from "../../../../src/core/socks/users.ts";
import { hex } from "../../../bytes.ts";

const users = authenticator({ ann: "secret", bob: "" });

/** All answers of a handshake as one, and how it ended. `size`: bytes of each push. */
function run(bytes: Uint8Array, authenticate = authenticator({}), size = bytes.length) {
  const handshake = new ProxyHandshake(authenticate);
  const answers: number[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const step = handshake.push(bytes.slice(at, at + size));
    answers.push(...step.answer);
    if (step.type === "more") continue;
    const rest = at + size < bytes.length ? bytes.slice(at + size) : new Uint8Array(0);
    return { answers: Buffer.from(answers), ...outcome(step, rest) };
  }
  return { answers: Buffer.from(answers), type: "more" };
}

function outcome(step: Exclude<HandshakeStep, { type: "more" }>, rest: Uint8Array) {
  if (step.type === "refused") return { type: "refused", fault: step.fault };
  return { type: "request", request: step.request, early: Buffer.concat([step.early, rest]).toString() };
}

const text = (value: string) => new TextEncoder().encode(value);
const login = (user: string, password: string) =>
  Buffer.concat([hex("050102 01"), Buffer.of(user.length), text(user), Buffer.of(password.length), text(password)]);

describe("SOCKS5", () => {
  test.each([
    ["IPv4", "050100 05010001 08080404 01bb", { command: "connect", to: { host: "8.8.4.4", port: 443 } }],
    [
      "IPv6",
      `050100 05010004 20010db8${"00".repeat(11)}07 0050`,
      { command: "connect", to: { host: "2001:db8::7", port: 80 } },
    ],
    [
      "a mapped address",
      `050100 05010004 ${"00".repeat(10)}ffff 08080404 0050`,
      { command: "connect", to: { host: "8.8.4.4", port: 80 } },
    ],
    ["a name", "050100 05010003 05 6e61732e61 ffff", { command: "connect", to: { host: "nas.a", port: 65_535 } }],
    [
      "an address as a name",
      "050100 05010003 07 382e382e382e38 0050",
      { command: "connect", to: { host: "8.8.8.8", port: 80 } },
    ],
    [
      "many methods",
      `05ff${"80".repeat(254)}00 05010001 08080404 0000`,
      { command: "connect", to: { host: "8.8.4.4", port: 0 } },
    ],
    ["UDP", "050100 05030001 00000000 0000", { command: "udp", from: { host: "0.0.0.0", port: 0 } }],
  ])("%s", (_what, bytes, request) => {
    const whole = Buffer.concat([hex(bytes), text("early")]);
    const expected = { answers: Buffer.from(hex("0500")), type: "request", request, early: "early" };
    expect(run(whole)).toEqual(expected as never);
    // As it may come: byte for byte.
    expect(run(whole, undefined, 1)).toEqual(expected as never);
  });

  test("names of 255 bytes", () => {
    const name = "n".repeat(255);
    const bytes = Buffer.concat([hex("050100 05010003 ff"), text(name), hex("0050")]);
    expect(run(bytes)).toMatchObject({ type: "request", request: { to: { host: name, port: 80 } } });
  });

  test.each([
    ["no way to authenticate", "0500", "05ff", "auth_missing"],
    ["only what is not ours", "050201 02", "05ff", "auth_missing"],
    ["another version in the request", "050100 04010001 08080404 0050", "0500 05010001 00000000 0000", "malformed"],
    ["BIND", "050100 05020001 08080404 0050", "0500 05070001 00000000 0000", "command"],
    ["a command of nobody's", "050100 05ff0001 08080404 0050", "0500 05070001 00000000 0000", "command"],
    ["address type 2", "050100 05010002", "0500 05080001 00000000 0000", "address_type"],
    ["address type 255", "050100 050100ff", "0500 05080001 00000000 0000", "address_type"],
    ["a name of nothing", "050100 05010003 00 0050", "0500 05040001 00000000 0000", "malformed"],
    ["a name with a NUL", "050100 05010003 03 610062 0050", "0500 05040001 00000000 0000", "malformed"],
    ["a name with a line end", "050100 05010003 03 610a62 0050", "0500 05040001 00000000 0000", "malformed"],
    ["SOCKS4", "04010050 08080404 00", "", "malformed"],
    ["TLS", "16030100", "", "malformed"],
    ["zeros", "0000", "", "malformed"],
  ])("refuses %s", (_what, bytes, answers, fault) => {
    expect(run(hex(bytes))).toEqual({ answers: Buffer.from(hex(answers)), type: "refused", fault } as never);
    expect(run(hex(bytes), undefined, 1)).toEqual({
      answers: Buffer.from(hex(answers)),
      type: "refused",
      fault,
    } as never);
  });

  test.each(["05", "0502", "0502 00", "050100", "050100 05", "050100 05010003 ff 61", "050100 05010001 08080404 00"])(
    "%s is not whole yet",
    (bytes) => expect(run(hex(bytes))).toMatchObject({ type: "more" }),
  );

  test("user and password", () => {
    const request = hex("05010001 08080404 0050");
    for (const [user, password] of [
      ["ann", "secret"],
      ["bob", ""],
    ] as const)
      for (const size of [1, 1_000])
        expect(run(Buffer.concat([login(user, password), request]), users, size)).toMatchObject({
          answers: Buffer.from(hex("0502 0100")),
          type: "request",
        });
  });

  test.each([
    ["ann", "Secret"],
    ["ann", ""],
    ["ann", "s".repeat(255)],
    ["nobody", "secret"],
    ["", ""],
    ["__proto__", ""],
    ["u".repeat(255), "secret"],
  ])("refuses %p with %p", (user, password) => {
    expect(run(login(user, password), users)).toEqual({
      answers: Buffer.from(hex("0502 0101")),
      type: "refused",
      fault: "auth_failed",
    } as never);
  });

  test("where users are set, nobody gets in without one", () => {
    expect(run(hex("050100"), users)).toMatchObject({ answers: Buffer.from(hex("05ff")), fault: "auth_missing" });
    expect(run(hex("050102 05"), users)).toMatchObject({ answers: Buffer.from(hex("0502 0101")), fault: "malformed" });
  });

  test("replies have the numbers of RFC 1928, and the proxy's end", () => {
    const handshake = new ProxyHandshake(undefined);
    handshake.push(hex("050100"));
    for (const [reply, code] of Object.entries(REPLIES)) {
      expect(handshake.reply(reply as Reply, NO_ADDRESS)).toEqual(Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0));
    }
    expect(handshake.reply("succeeded", { host: "127.0.0.1", port: 1_080 })).toEqual(hex("05000001 7f000001 0438"));
    expect(handshake.reply("succeeded", { host: "::1", port: 1 })).toEqual(hex(`05000004 ${"00".repeat(15)}01 0001`));
  });
});

describe("HTTP CONNECT", () => {
  const connect = (target: string, ...fields: string[]) =>
    text([`CONNECT ${target} HTTP/1.1`, "Host: x", ...fields, "", "early"].join("\r\n"));
  const basic = (credentials: string) => `proxy-AUTHORIZATION: basic ${btoa(credentials)}`;

  test.each([
    ["nas.example:443", { host: "nas.example", port: 443 }],
    ["8.8.4.4:80", { host: "8.8.4.4", port: 80 }],
    ["[2001:DB8::0:7]:443", { host: "2001:db8::7", port: 443 }],
  ])("%s", (target, to) => {
    const expected = { answers: Buffer.of(), type: "request", request: { command: "connect", to }, early: "early" };
    expect(run(connect(target))).toEqual(expected as never);
    expect(run(connect(target), undefined, 1)).toEqual(expected as never);
  });

  test.each([
    ["no port", "CONNECT nas.example HTTP/1.1\r\n\r\n", 400, "malformed"],
    ["a port too high", "CONNECT nas.example:65536 HTTP/1.1\r\n\r\n", 400, "malformed"],
    ["an address without brackets", "CONNECT 2001:db8::7:443 HTTP/1.1\r\n\r\n", 400, "malformed"],
    ["a name in brackets", "CONNECT [a:b]:443 HTTP/1.1\r\n\r\n", 400, "malformed"],
    ["a URL", "CONNECT http://a:443 HTTP/1.1\r\n\r\n", 400, "malformed"],
    ["HTTP/2", "CONNECT a:443 HTTP/2\r\n\r\n", 400, "malformed"],
    ["no HTTP", "HELO there\r\n\r\n", 400, "malformed"],
    ["GET", "GET http://a/ HTTP/1.1\r\n\r\n", 501, "command"],
    ["no end", `GET ${"a".repeat(16_384)}`, 431, "malformed"],
  ])("refuses %s", (_what, request, status, fault) => {
    const { answers, ...rest } = run(text(request));
    expect(rest).toEqual({ type: "refused", fault } as never);
    expect(answers.toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*Connection: close\r\n\r\nut: .*\n$`));
  });

  test.each(["ann:secret", "bob:"])("%s may", (credentials) =>
    expect(run(connect("a:1", basic(credentials)), users)).toMatchObject({ type: "request" }),
  );

  test.each([
    ["nobody", [], "auth_missing"],
    ["another scheme", ["Proxy-Authorization: Bearer abc"], "auth_missing"],
    ["another password", [basic("ann:public")], "auth_failed"],
    ["no colon", [basic("ann")], "auth_failed"],
    ["no base64", ["Proxy-Authorization: Basic ?"], "auth_failed"],
    ["half a base64", ["Proxy-Authorization: Basic a"], "auth_failed"],
    ["padding that pads nothing", ["Proxy-Authorization: Basic a="], "auth_failed"],
    ["too much padding", ["Proxy-Authorization: Basic abc=="], "auth_failed"],
  ])("refuses %s", (_what, fields, fault) => {
    const { answers, ...rest } = run(connect("a:1", ...fields), users);
    expect(rest).toEqual({ type: "refused", fault } as never);
    expect(answers.toString()).toMatch(/^HTTP\/1.1 407 [\s\S]*\r\nProxy-Authenticate: Basic realm="ut"\r\n/);
  });

  test("replies are status lines that differ by what one can do about it", () => {
    const handshake = new ProxyHandshake(undefined);
    handshake.push(text("CONNECT"));
    const status = (reply: Reply) => new TextDecoder().decode(handshake.reply(reply, NO_ADDRESS)).split(" ")[1];
    expect((Object.keys(REPLIES) as Reply[]).map((reply) => [reply, status(reply)])).toEqual([
      ["succeeded", "200"],
      ["general-failure", "503"],
      ["not-allowed", "403"],
      ["network-unreachable", "502"],
      ["host-unreachable", "502"],
      ["refused", "502"],
      ["ttl-expired", "504"],
      ["command-not-supported", "501"],
      ["address-type-not-supported", "501"],
    ]);
  });
});
