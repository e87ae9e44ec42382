import { expect, test } from "bun:test";
import { inet6Flags, parseInet6Flags } from "../../../../src/io/system/inet6-flags.ts";

test("what Linux says of its IPv6 addresses: temporary, permanent, deprecated, tentative", () => {
  const text = [
    "00000000000000000000000000000001 01 80 10 80       lo",
    "20010db8000100020000000000000077 02 40 00 01     eth0",
    "20010db8000100020000000000000078 02 40 00 21     eth0",
    "20010db8000100020000000000000079 02 40 00 c0     eth0",
    "20010db800010002000000000000007a 02 40 00 44     eth0",
    "20010db800010002000000000000007b 02 40 00 180     eth0",
    "no such line",
    "",
  ].join("\n");
  const fit = { isTemporary: false, isUnfit: false };
  expect([...parseInet6Flags(text)]).toEqual([
    ["::1", fit],
    ["2001:db8:1:2::77", { isTemporary: true, isUnfit: false }],
    ["2001:db8:1:2::78", { isTemporary: true, isUnfit: true }],
    ["2001:db8:1:2::79", { isTemporary: false, isUnfit: true }],
    ["2001:db8:1:2::7a", fit],
    ["2001:db8:1:2::7b", fit],
  ]);
});

test("where nothing is told, nothing is known", () => expect(inet6Flags("/no/such/file").size).toBe(0));
