import { expect, test } from "bun:test";
import { parseFibTrie, parseIpv6Routes } from "../../../../src/io/system/local-routes.ts";

test("IPv4: addresses and local networks, each once; neither broadcasts, nor networks that are only near", () => {
  const text = [
    "Main:",
    "  +-- 0.0.0.0/0 3 0 5",
    "     |-- 0.0.0.0",
    "        /0 universe UNICAST",
    "     |-- 192.0.2.0",
    "        /24 link UNICAST",
    "Id 100:",
    "  +-- 203.0.113.0/24 0 0 0",
    "     |-- 203.0.113.0",
    "        /24 host LOCAL",
    "Local:",
    "     |-- 0.0.0.0",
    "        /0 host LOCAL",
    "     |-- 127.0.0.0",
    "        /8 host LOCAL",
    "     |-- 192.0.2.2",
    "        /32 host LOCAL",
    "     |-- 192.0.2.255",
    "        /32 link BROADCAST",
    "     |-- 198.51.100.0",
    "        /25 link UNICAST",
    "        /24 host LOCAL",
    "        /24 host LOCAL tos=16",
    "",
  ].join("\n");
  expect(parseFibTrie(text)).toEqual(["127.0.0.0/8", "192.0.2.2/32", "198.51.100.0/24"]);
});

test("IPv6: addresses, local networks and anycast; nothing that is only near", () => {
  const rest = "00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000";
  const text = [
    `20010db8000000000000000000000000 40 ${rest} 00000001       d0`,
    `20010db8000000000000000000000000 80 ${rest} 80300001       d0`,
    `20010db8000000000000000000000001 80 ${rest} 00100001       d0`,
    `20010db8000000000000000000000005 80 ${rest} 80200001       d0`,
    `20010db8000f00000000000000000000 40 ${rest} 80000001       lo`,
    `00000000000000000000000000000000 00 ${rest} 80000001       lo`,
    `00000000000000000000000000000000 00 ${rest} 00200200       lo`,
    "no such line",
    "",
  ].join("\n");
  expect(parseIpv6Routes(text)).toEqual(["2001:db8::/128", "2001:db8::1/128", "2001:db8::5/128", "2001:db8:f::/64"]);
});
