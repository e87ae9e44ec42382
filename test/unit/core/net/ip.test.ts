import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import { canonicalIp, formatIp, ipScope, parseIp } from "../../../../src/core/net/ip.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

describe("IP addresses", () => {
  // RFC 5952 §4, RFC 4291 §2.2 and §2.5.5.2
  test.each([
    ["203.0.113.7", "203.0.113.7"],
    ["0.0.0.0", "0.0.0.0"],
    ["2001:0db8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ])("%s is %s", (text, canonical) => expect(canonicalIp(text)).toBe(canonical));

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.-4",
    "1.2.3.4 ",
    "example.com",
    ":",
    ":::",
    "1:::2",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    "::1.2.3",
    "1.2.3.4::",
  ])("%p is none", (text) => expect(parseIp(text)).toBeUndefined());

  test.each([
    ["0.0.0.0", "unspecified"],
    ["127.0.0.53", "loopback"],
    ["169.254.1.1", "link-local"],
    ["10.0.0.1", "private"],
    ["172.15.0.1", "public"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["172.32.0.1", "public"],
    ["192.168.1.1", "private"],
    ["100.63.255.255", "public"],
    ["100.64.0.1", "shared"],
    ["100.127.255.255", "shared"],
    ["100.128.0.0", "public"],
    ["203.0.113.1", "public"],
    ["224.0.0.251", "multicast"],
    ["255.255.255.255", "multicast"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["fe80::1", "link-local"],
    ["ff02::1", "multicast"],
    ["fd00::1", "private"],
    ["2001:db8::1", "public"],
    ["not an address", "unspecified"],
  ] as const)("%s is %s", (address, scope) => expect(ipScope(address)).toBe(scope));

  test("whatever bytes: the text reads back as the same bytes, and the system agrees that it is an address", () => {
    for (const seed of fuzzSeeds("ip", 200)) {
      const random = new Random(seed);
      const bytes = random.bytes(random.oneIn(2) ? 4 : 16);
      // Runs of zeros are what shortening is about.
      for (let i = 0; i < bytes.length; i++) if (random.oneIn(2)) bytes[i] = 0;
      const text = formatIp(bytes);
      expect({ seed, text, bytes: parseIp(text) }).toEqual({ seed, text, bytes });
      expect({ seed, text, family: isIP(text) }).toEqual({ seed, text, family: bytes.length === 4 ? 4 : 6 });
      if (bytes.length === 16) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
    }
  });
});
