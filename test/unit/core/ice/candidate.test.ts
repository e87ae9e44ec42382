import { describe, expect, test } from "bun:test";
import {
  type Candidate,
  candidatePriority,
  formatCandidate,
  isCandidateAddress,
  parseCandidate,
  peerReflexivePriority,
} from "../../../../src/core/ice/candidate.ts";

describe("priority", () => {
  test.each([
    ["host", 65_535, 2_130_706_431],
    ["host", 0, 2_113_929_471],
    ["prflx", 65_535, 1_862_270_975],
    ["prflx", 65_534, 1_862_270_719],
    ["srflx", 65_535, 1_694_498_815],
    ["srflx", 1, 1_677_722_111],
  ] as const)("%s with local preference %d: %d (RFC 8445 §5.1.2.1, component 1)", (type, preference, priority) => {
    expect(candidatePriority(type, preference)).toBe(priority);
  });

  test("a check claims that of a peer-reflexive candidate with the same local preference (§7.1.1)", () => {
    const endpoint = { address: "10.0.0.1", port: 1 };
    const common = { foundation: "1", endpoint, base: endpoint, socket: 0 };
    const claimed = [65_535, 65_000, 7, 0].map((preference) =>
      peerReflexivePriority({ type: "host", priority: candidatePriority("host", preference), ...common }),
    );
    expect(claimed).toEqual([65_535, 65_000, 7, 0].map((preference) => candidatePriority("prflx", preference)));
  });
});

const HOST: Candidate = {
  type: "host",
  foundation: "Aa+/9",
  priority: 2_130_706_431,
  endpoint: { address: "192.0.2.1", port: 5_000 },
};
const RELATED = { address: "10.1.0.11", port: 5_000 };

describe("text", () => {
  test.each([
    ["candidate:Aa+/9 1 udp 2130706431 192.0.2.1 5000 typ host", HOST],
    [
      "candidate:Aa+/9 1 udp 1 2001:db8::1 65535 typ srflx raddr 10.1.0.11 rport 5000",
      {
        ...HOST,
        type: "srflx",
        priority: 1,
        endpoint: { address: "2001:db8::1", port: 65_535 },
        related: RELATED,
      } as const,
    ],
    [
      "candidate:Aa+/9 1 udp 2147483647 192.0.2.1 5000 typ prflx raddr 0.0.0.0 rport 0",
      { ...HOST, type: "prflx", priority: 2 ** 31 - 1, related: { address: "0.0.0.0", port: 0 } } as const,
    ],
  ])("%s, both ways", (text, candidate) => {
    expect(formatCandidate(candidate)).toBe(text);
    expect(parseCandidate(text)).toEqual(candidate);
  });

  test.each([
    ["candidate:Aa+/9 1 UDP 2130706431 192.0.2.1 5000 TYP HOST", HOST],
    ["candidate:Aa+/9 1 udp 2130706431 192.0.2.1 5000 typ host generation 0 ufrag abcd network-cost 999", HOST],
    ["candidate:Aa+/9 1 udp 2130706431 ::ffff:192.0.2.1 5000 typ host", HOST],
    ["candidate:Aa+/9 1 udp 2130706431 192.0.2.1 5000 typ host raddr nobody rport 5000", HOST],
    ["candidate:Aa+/9 1 udp 2130706431 192.0.2.1 5000 typ host raddr 10.1.0.11 rport 65536", HOST],
    [
      "candidate:Aa+/9 1 udp 2130706431 2001:DB8:0:0:0:0:0:1%eth0 5000 typ host",
      { ...HOST, endpoint: { address: "2001:db8::1", port: 5_000 } },
    ],
  ])("reads what others write: %s", (text, candidate) => {
    expect(parseCandidate(text)).toEqual(candidate);
  });

  test.each([
    "",
    "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host",
    "candidate:1 2 udp 1 192.0.2.1 5000 typ host",
    "candidate:1 1 tcp 1 192.0.2.1 5000 typ host",
    "candidate:1 1 udp 1 192.0.2.1 5000 typ relay",
    "candidate:1 1 udp 1 192.0.2.1 5000 typ hostile",
    "candidate:1 1 udp 0 192.0.2.1 5000 typ host",
    "candidate:1 1 udp 2147483648 192.0.2.1 5000 typ host",
    "candidate:1 1 udp -1 192.0.2.1 5000 typ host",
    "candidate:1 1 udp 1e3 192.0.2.1 5000 typ host",
    "candidate:1 1 udp 1 192.0.2.1 0 typ host",
    "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
    "candidate:1 1 udp 1 192.0.2.1 -1 typ host",
    "candidate:1 1 udp 1 example.org 5000 typ host",
    "candidate:1 1 udp 1 7f3a.local 5000 typ host",
    "candidate:1 1 udp 1 192.0.2.256 5000 typ host",
    "candidate:1 1 udp 1 0x7f000001 5000 typ host",
    "candidate:1 1 udp 1 0.0.0.0 5000 typ host",
    "candidate:1 1 udp 1 :: 5000 typ host",
    "candidate:1 1 udp 1 224.0.0.1 5000 typ host",
    "candidate:1 1 udp 1 255.255.255.255 5000 typ host",
    "candidate:1 1 udp 1 ff02::1 5000 typ host",
    "candidate:1 1 udp 1 fe80::1%eth0 5000 typ host",
    "candidate: 1 udp 1 192.0.2.1 5000 typ host",
    "candidate:_ 1 udp 1 192.0.2.1 5000 typ host",
    `candidate:${"1".repeat(33)} 1 udp 1 192.0.2.1 5000 typ host`,
    "candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=ice-pwd:x",
    "candidate:1 1 udp 1 192.0.2.1\n5000 typ host",
    "candidate:1  1 udp 1 192.0.2.1 5000 typ host",
    `candidate:1 1 udp 1 ${"1".repeat(100_000)} 5000 typ host`,
  ])("refuses %p", (text) => {
    expect(parseCandidate(text)).toBeUndefined();
  });
});

test("an address that another host can be reached at", () => {
  const known = ["10.0.0.1", "100.64.0.1", "169.254.0.1", "127.0.0.1", "::1", "fd00::1", "2001:db8::1", "203.0.113.1"];
  const none = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1", "no address"];
  expect([...known, ...none].filter(isCandidateAddress)).toEqual(known);
});
