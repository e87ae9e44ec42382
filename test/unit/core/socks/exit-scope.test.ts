import { expect, test } from "bun:test";
import { parseIp } from "../../../../src/core/net/ip.ts";
import { type ExitScope, exitScope, parsePrefix, within } from "../../../../src/core/socks/exit-scope.ts";

/** Each range by its first and its last address, and the neighbours that are not of it. */
const EDGES: readonly (readonly [ExitScope, readonly string[]])[] = [
  ["unspecified", ["0.0.0.0", "0.255.255.255", "::"]],
  ["private", ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]],
  ["shared", ["100.64.0.0", "100.127.255.255"]],
  ["loopback", ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]],
  ["link-local", ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "febf:ffff::1"]],
  ["reserved", ["192.0.0.0", "192.0.0.255", "192.88.99.0", "192.88.99.255", "240.0.0.0", "255.255.255.254"]],
  ["broadcast", ["255.255.255.255"]],
  ["multicast", ["224.0.0.0", "239.255.255.255", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]],
  ["public", ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"]],
  ["public", ["169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]],
  ["public", ["191.255.255.255", "192.0.1.0", "192.88.98.255", "192.88.100.0", "223.255.255.255"]],
  ["private", ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::", "feff:ffff::"]],
  ["public", ["2000::", "2001:1:ffff::", "2003::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2606:4700::1111"]],
  ["reserved", ["1fff:ffff::", "4000::", "fbff::", "fe00::", "fe7f:ffff::", "100::1", "2001:2::", "2001:2:0:ffff::"]],
  ["public", ["2001:1::", "2001:2:1::"]],
  // IPv4-mapped, IPv4-compatible, translated.
  ["loopback", ["::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1"]],
  ["private", ["::ffff:10.0.0.1", "::ffff:192.168.1.1"]],
  ["public", ["::ffff:8.8.8.8"]],
  ["reserved", ["::8.8.8.8", "::ffff:0:8.8.8.8"]],
  // NAT64, well-known and local.
  ["loopback", ["64:ff9b::127.0.0.1"]],
  ["private", ["64:ff9b::10.1.2.3", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:1::8.8.8.8"]],
  ["link-local", ["64:ff9b::169.254.169.254"]],
  ["public", ["64:ff9b::8.8.8.8"]],
  ["reserved", ["64:ff9b:0:1::1", "64:ff9b:2::", "64:ff9a::8.8.8.8"]],
  // 6to4, Teredo (server, and the client turned over).
  ["private", ["2002:c0a8:101::1", "2002:0a00:1::"]],
  ["loopback", ["2002:7f00:1::1", "2001:0:7f00:1::1", "2001:0:808:808:0:0:80ff:fffe"]],
  ["private", ["2001:0:808:808:0:0:f5ff:fffe"]],
  ["public", ["2002:808:808::1", "2001:0:808:808:0:0:f7f7:f7f7"]],
  ["unspecified", ["not an address", ""]],
];

test.each(EDGES)("%s: %p", (scope, addresses) => {
  expect(addresses.map((address) => [address, exitScope(address)])).toEqual(
    addresses.map((address) => [address, scope]),
  );
});

test("a prefix is what its bits say, at any length", () => {
  const bytes = (text: string) => parseIp(text) ?? new Uint8Array();
  for (let length = 0; length <= 32; length++) {
    const prefix = parsePrefix(`203.0.113.77/${length}`);
    if (prefix === undefined) throw new Error(`no prefix of ${length}`);
    for (let bit = 0; bit < 32; bit++) {
      const other = bytes("203.0.113.77").slice();
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      expect([length, bit, within(other, prefix)]).toEqual([length, bit, bit >= length]);
    }
  }
});

test("a prefix of one family has nothing of the other", () => {
  const all = parsePrefix("::/0");
  const ipv4 = parseIp("8.8.8.8");
  expect(all && ipv4 && within(ipv4, all)).toBe(false);
});

test.each([
  "",
  "10.0.0.0/33",
  "::/129",
  "10.0.0.0/",
  "10.0.0.0/8/8",
  "10.0.0/8",
  "example",
  "10.0.0.0/-1",
  "1.2.3.4/a",
])("no prefix: %p", (text) => expect(parsePrefix(text)).toBeUndefined());
