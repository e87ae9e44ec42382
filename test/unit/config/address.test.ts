import { describe, expect, test } from "bun:test";
import { type AddressUse, formatAddress, parseAddress } from "../../../src/config/address.ts";
import { refusalOf } from "./config-text.ts";

describe("an address is read", () => {
  const accepted: [text: string, use: AddressUse, host: string, port: number][] = [
    ["127.0.0.1:15000", "target", "127.0.0.1", 15000],
    ["ec2.example.com:5443", "target", "ec2.example.com", 5443],
    ["ec2.example.com.:1", "target", "ec2.example.com.", 1],
    ["my_service:65535", "target", "my_service", 65535],
    ["localhost:80", "target", "localhost", 80],
    [`${"a".repeat(63)}.b:1`, "target", `${"a".repeat(63)}.b`, 1],
    ["[::1]:5443", "target", "::1", 5443],
    ["[2001:db8::ff00:42:8329]:5443", "target", "2001:db8::ff00:42:8329", 5443],
    ["[::ffff:192.0.2.1]:5443", "target", "::ffff:192.0.2.1", 5443],
    ["[fe80::1%eth0]:5443", "target", "fe80::1%eth0", 5443],
    ["0.0.0.0:0", "listen", "0.0.0.0", 0],
    ["[::]:5443", "listen", "::", 5443],
    [":5443", "listen", "::", 5443],
  ];
  for (const [text, use, host, port] of accepted)
    test(`${text} to ${use}`, () => expect(parseAddress(text, use)).toEqual({ host, port }));
});

describe("an address is refused", () => {
  const shape = `host:port such as "127.0.0.1:5443"`;
  const host = "a host name or an IP address before the port";
  const targetPort = "host:port with a port from 1 to 65535";
  const everywhere = "one host to reach, not every interface";
  const refused: [text: string, use: AddressUse, expected: string, suggestion?: string][] = [
    ["", "listen", shape],
    ["example.com", "target", shape, "example.com:5443"],
    ["5080", "listen", shape, "127.0.0.1:5080"],
    ["70000", "listen", shape],
    ["::1:5443", "listen", shape, "[::1]:5443"],
    ["2001:db8::5:1", "target", shape, "[2001:db8::5:1]:5443"],
    ["2001:db8::1", "target", shape, "[2001:db8::1]:5443"],
    ["1:2:3:4:5:6:7:8:5443", "target", shape, "[1:2:3:4:5:6:7:8]:5443"],
    ["[::1]", "listen", shape, "[::1]:5443"],
    ["[::1:5443", "listen", shape],
    ["[[::]:5", "listen", "an IPv6 address between the brackets"],
    ["::]:5", "listen", shape],
    ["[[::]]", "listen", shape],
    ["https://ec2.example.com:5443/x", "target", `${shape} without a scheme`, "ec2.example.com:5443"],
    ["a:", "target", targetPort],
    ["a:0", "target", targetPort],
    ["a:-1", "target", targetPort],
    ["a:+1", "target", targetPort],
    ["a:0x10", "target", targetPort],
    ["a:65536", "target", targetPort],
    ["a:65536", "listen", "host:port with a port from 0 to 65535"],
    ["a:http", "target", targetPort],
    ["[1.2.3.4]:5", "target", "an IPv6 address between the brackets"],
    ["[::1%]:5", "target", "an IPv6 address between the brackets"],
    ["[::g]:5", "target", "an IPv6 address between the brackets"],
    ["127.0.0.256:5", "target", host],
    ["1.2.3:5", "target", host],
    ["a b:5", "target", host],
    ["-a.example:5", "target", host],
    ["a..b:5", "target", host],
    ["*:5443", "listen", host],
    [`${"a".repeat(64)}:5`, "target", host],
    [`${"a.".repeat(127)}b:5`, "target", host],
    ["0.0.0.0:5", "target", everywhere, "127.0.0.1:5"],
    ["[::]:5", "target", everywhere, "127.0.0.1:5"],
    [":5", "target", everywhere, "127.0.0.1:5"],
  ];
  for (const [text, use, expected, suggestion] of refused)
    test(`"${text}" to ${use}`, () => {
      const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"`;
      const message = `Cannot use address "${text}": expected ${expected}${hint}`;
      expect(refusalOf(() => parseAddress(text, use))).toBe(`usage.bad-value\n${message}`);
    });
});

describe("an address is formatted to the text that reads back", () => {
  for (const text of ["127.0.0.1:15000", "[::1]:5443", "[fe80::1%eth0]:1", "a.example:0"])
    test(text, () => expect(formatAddress(parseAddress(text))).toBe(text));
});
