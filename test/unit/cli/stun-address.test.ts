import { expect, test } from "bun:test";
import { stunAddress } from "../../../src/cli/stun-address.ts";

test.each([
  ["stun.example.com", { host: "stun.example.com", port: 3_478 }],
  ["stun.example.com:19302", { host: "stun.example.com", port: 19_302 }],
  ["203.0.113.10", { host: "203.0.113.10", port: 3_478 }],
  ["2001:db8::1", { host: "2001:db8::1", port: 3_478 }],
  ["[2001:db8::1]", { host: "2001:db8::1", port: 3_478 }],
  ["[2001:db8::1]:3479", { host: "2001:db8::1", port: 3_479 }],
])("%s", (text, address) => expect(stunAddress(text)).toEqual(address));

test.each([
  [
    "stun:stun.example.com",
    'Cannot use address "stun:stun.example.com:3478": expected host:port such as "127.0.0.1:5443"',
  ],
  ["stun.example.com:", 'Cannot use address "stun.example.com:": expected host:port with a port from 1 to 65535'],
  ["stun.example.com:0", 'Cannot use address "stun.example.com:0": expected host:port with a port from 1 to 65535'],
])("%s is refused", (text, message) => expect(() => stunAddress(text)).toThrow(message));
