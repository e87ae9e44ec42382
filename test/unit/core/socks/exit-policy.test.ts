import { describe, expect, test } from "bun:test";
import { ExitPolicy, type ExitRefusal } from "../../../../src/core/socks/exit-policy.ts";
import { type ExitRule, parseExitRule } from "../../../../src/core/socks/exit-rule.ts";

const OWN = ["203.0.113.9", "2001:db8::9"];

function policy(...texts: string[]): ExitPolicy {
  const rules = texts.map((text): ExitRule => {
    const rule = parseExitRule(text);
    if (rule === undefined) throw new Error(`not a rule: ${text}`);
    return rule;
  });
  return new ExitPolicy({ rules, isOwn: (address) => OWN.includes(address) });
}

type Case = readonly [address: string, port: number, name: string | undefined, refusal: ExitRefusal | undefined];

function check(exit: ExitPolicy, cases: readonly Case[]): void {
  const asked = cases.map(([address, port, name]) => [address, port, name, exit.refusal(address, port, name)]);
  expect(asked).toEqual(cases.map((one) => [...one]));
}

test("without rules: every public address but this host's own, in whatever form", () => {
  check(policy(), [
    ["8.8.8.8", 1, undefined, undefined],
    ["8.8.8.8", 65_535, "dns.example", undefined],
    ["2606:4700::1111", 443, undefined, undefined],
    ["::ffff:8.8.8.8", 443, undefined, undefined],
    ["::ffff:10.0.0.1", 443, undefined, "private"],
    ["::ffff:203.0.113.9", 443, undefined, "own"],
    ["fe80::1%eth0", 443, undefined, "link-local"],
    ["64:ff9b::8.8.8.8", 443, "dns.example", undefined],
    ["203.0.113.9", 443, undefined, "own"],
    ["2001:db8::9", 443, "me.example", "own"],
    ["64:ff9b::203.0.113.9", 443, undefined, "own"],
    ["2002:cb00:7109::1", 443, undefined, "own"],
    ["10.0.0.1", 443, undefined, "private"],
    ["10.0.0.1", 443, "rebound.example", "private"],
    ["127.0.0.1", 443, "rebound.example", "loopback"],
    ["169.254.169.254", 80, "metadata.example", "link-local"],
    ["100.64.0.1", 443, undefined, "shared"],
    ["224.0.0.251", 5353, undefined, "multicast"],
    ["255.255.255.255", 67, undefined, "broadcast"],
    ["0.0.0.0", 80, undefined, "unspecified"],
    ["::1", 80, undefined, "loopback"],
    ["fd00::1", 80, undefined, "private"],
    ["64:ff9b::10.0.0.1", 80, undefined, "private"],
    ["64:ff9b:1::1", 80, undefined, "private"],
    ["240.0.0.1", 80, undefined, "reserved"],
    ["nonsense", 80, undefined, "unspecified"],
  ]);
});

test("a list is all there is: what is public needs the word", () => {
  check(policy("192.168.1.0/24"), [
    ["192.168.1.0", 80, undefined, undefined],
    ["192.168.1.255", 80, "nas.example", undefined],
    ["192.168.0.255", 80, undefined, "private"],
    ["192.168.2.0", 80, undefined, "private"],
    ["8.8.8.8", 53, undefined, "not-listed"],
  ]);
  check(policy("192.168.1.0/24", "public"), [
    ["192.168.1.7", 80, undefined, undefined],
    ["8.8.8.8", 53, undefined, undefined],
    ["10.0.0.1", 80, undefined, "private"],
  ]);
});

test("ports: one, a range with both its ends, and each rule its own", () => {
  check(policy("public:443", "10.0.0.0/8:8000-8010", "*.corp.example:22"), [
    ["8.8.8.8", 442, undefined, "not-listed"],
    ["8.8.8.8", 443, undefined, undefined],
    ["8.8.8.8", 444, undefined, "not-listed"],
    ["10.1.1.1", 7_999, undefined, "private"],
    ["10.1.1.1", 8_000, undefined, undefined],
    ["10.1.1.1", 8_010, undefined, undefined],
    ["10.1.1.1", 8_011, undefined, "private"],
    ["10.1.1.1", 22, "git.corp.example", undefined],
    ["10.1.1.1", 443, "git.corp.example", "private"],
    ["8.8.8.8", 22, "git.corp.example", undefined],
  ]);
});

test("an address of any kind can be listed: loopback, link-local, this host's own", () => {
  check(policy("127.0.0.1:8080", "169.254.169.254", "203.0.113.9:22", "::1", "[fe80::/10]:80"), [
    ["127.0.0.1", 8_080, undefined, undefined],
    ["127.0.0.1", 8_080, "any.example", undefined],
    ["127.0.0.1", 8_081, undefined, "loopback"],
    ["127.0.0.2", 8_080, undefined, "loopback"],
    ["169.254.169.254", 80, undefined, undefined],
    ["203.0.113.9", 22, undefined, undefined],
    ["203.0.113.9", 23, undefined, "own"],
    ["::1", 1, undefined, undefined],
    ["fe80::1", 80, undefined, undefined],
    ["fe80::1", 81, undefined, "link-local"],
  ]);
});

test("a name lets in what is behind it, public or private, and nothing that no name should lead to", () => {
  check(policy("NAS.example.", "*.Corp.example"), [
    ["192.168.1.9", 443, "nas.example", undefined],
    ["8.8.8.8", 443, "nas.EXAMPLE.", undefined],
    ["100.64.1.1", 443, "nas.example", undefined],
    ["fd00::9", 443, "a.corp.example", undefined],
    ["fd00::9", 443, "a.b.corp.example", undefined],
    ["fd00::9", 443, "corp.example", "private"],
    ["8.8.8.8", 443, "corp.example", "not-listed"],
    ["8.8.8.8", 443, "evilcorp.example", "not-listed"],
    ["8.8.8.8", 443, "x.nas.example", "not-listed"],
    ["8.8.8.8", 443, undefined, "not-listed"],
    ["127.0.0.1", 443, "nas.example", "loopback"],
    ["::1", 443, "nas.example", "loopback"],
    ["169.254.169.254", 80, "nas.example", "link-local"],
    ["0.0.0.0", 80, "nas.example", "unspecified"],
    ["224.0.0.1", 80, "nas.example", "multicast"],
    ["240.0.0.1", 80, "nas.example", "reserved"],
    ["203.0.113.9", 443, "nas.example", "own"],
  ]);
});

describe("rules as text", () => {
  test.each([
    ["public", { hosts: { type: "public" }, firstPort: 0, lastPort: 65_535 }],
    ["public:80-443", { hosts: { type: "public" }, firstPort: 80, lastPort: 443 }],
    [
      "10.1.2.3",
      { hosts: { type: "prefix", prefix: [Uint8Array.of(10, 1, 2, 3), 32] }, firstPort: 0, lastPort: 65_535 },
    ],
    [
      "10.0.0.0/8:0-0",
      { hosts: { type: "prefix", prefix: [Uint8Array.of(10, 0, 0, 0), 8] }, firstPort: 0, lastPort: 0 },
    ],
    ["[::1]:65535", { hosts: { type: "prefix", prefix: [six(1), 128] }, firstPort: 65_535, lastPort: 65_535 }],
    ["::/0", { hosts: { type: "prefix", prefix: [six(0), 0] }, firstPort: 0, lastPort: 65_535 }],
    ["*.A.b.", { hosts: { type: "name", name: "a.b", isSuffix: true }, firstPort: 0, lastPort: 65_535 }],
    ["nas:22", { hosts: { type: "name", name: "nas", isSuffix: false }, firstPort: 22, lastPort: 22 }],
  ])("%s", (text, rule) => expect(parseExitRule(text)).toEqual(rule as ExitRule));

  const bad = [
    "",
    "*",
    "*.",
    "a.*.b",
    "10.0.0.0/33",
    "10.0.0",
    "300.1.1.1",
    "a b",
    "a:65536",
    "a:2-1",
    "a:",
    "a:-",
    "[a]",
  ];
  test.each([...bad, "[10.0.0.1]", "[::1", "::1/129", "http://a", "a/8", "a..b", `${"a".repeat(64)}.b`, "é.example"])(
    "not %p",
    (text) => expect(parseExitRule(text)).toBeUndefined(),
  );
});

function six(last: number): Uint8Array {
  return Uint8Array.from([...Array(15).fill(0), last]);
}
