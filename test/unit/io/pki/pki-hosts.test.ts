import { describe, expect, test } from "bun:test";
import { UtError } from "../../../../src/core/error.ts";
import { agentHost, canonicalIp, formatSubjectAltName, parseHost } from "../../../../src/io/pki/pki-hosts.ts";

describe("hosts of a certificate", () => {
  test.each([
    ["vpn.example.com", "DNS:vpn.example.com"],
    ["VPN.Example.COM.", "DNS:vpn.example.com"],
    ["*.example.com", "DNS:*.example.com"],
    ["localhost", "DNS:localhost"],
    ["bücher.example", "DNS:xn--bcher-kva.example"],
    ["203.0.113.7", "IP:203.0.113.7"],
    ["2001:DB8:0::1", "IP:2001:db8::1"],
    ["[::1]", "IP:::1"],
    ["::ffff:192.0.2.1", "IP:::ffff:c000:201"],
  ])("%s becomes %s", (text, name) => {
    expect(formatSubjectAltName(parseHost(text))).toBe(name);
  });

  const WHAT = "expected a DNS name, an IPv4 or an IPv6 address";
  test.each([
    ["vpn.example.com:5443", `it carries a port, and a certificate is good for every port: ${WHAT}`],
    ["https://vpn.example.com", `it is a URL: ${WHAT}`],
    ["fe80::1%eth0", `a zone is meaningful on one machine only: ${WHAT}`],
    ["203.0.113.256", `it is no IPv4 address: ${WHAT}`],
    ["", WHAT],
    ["a_b.example.com", WHAT],
    ["-a.example.com", WHAT],
    ["a..example.com", WHAT],
    ["*.com.*", WHAT],
    ["*", WHAT],
    ["*.com", WHAT],
    ["a b", "it is more than one word: give each host its own --host"],
    ["a.example,b.example", "it is more than one word: give each host its own --host"],
    [`${"a".repeat(64)}.example.com`, WHAT],
    [`${"abcdefg.".repeat(32)}com`, WHAT],
    ["office.ut.internal", "names under ut.internal belong to agents: use --agent"],
    ["*.UT.internal", "names under ut.internal belong to agents: use --agent"],
  ])("%j is refused with its reason", (text, cause) => {
    expect(() => parseHost(text)).toThrow(
      new UtError("pki.bad-name", `Cannot put the host "${text}" into a certificate: ${cause}`),
    );
  });

  test("an agent is dialled by its CN", () => {
    expect(agentHost("Office-1")).toEqual({ type: "dns", value: "office-1.ut.internal" });
    expect(() => agentHost("a..b")).toThrow(
      'Cannot make "a..b" an agent: peers dial it as "a..b.ut.internal", which is no host name: ' +
        "use letters, digits and inner hyphens, at most 63 of them between two dots",
    );
    expect(() => agentHost("x".repeat(64))).toThrow("no host name");
  });

  test("an address has one spelling", () => {
    expect(["0:0:0:0:0:0:0:1", "2001:0DB8::0001", "10.0.0.1"].map(canonicalIp)).toEqual([
      "::1",
      "2001:db8::1",
      "10.0.0.1",
    ]);
  });
});
