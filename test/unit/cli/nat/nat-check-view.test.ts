import { describe, expect, test } from "bun:test";
import type { NatSurvey } from "../../../../src/app/nat/nat-survey.ts";
import { formatSurvey } from "../../../../src/cli/nat/nat-check-view.ts";
import { answered, BLOCKED, HOME, MAPPED, NOTHING, SILENT, SYMMETRIC, server } from "./nat-surveys.ts";

const LANES = "  The lanes carry everything to every peer, whatever stands here; going direct only makes it faster.";

/** The lines of one paragraph: the one that begins with `title`. */
function paragraph(survey: NatSurvey, title: string): string[] {
  const lines = formatSurvey(survey);
  const begin = lines.findIndex((line) => line.startsWith(title));
  if (begin < 0) return [];
  const end = lines.indexOf("", begin);
  return lines.slice(begin, end < 0 ? undefined : end);
}

describe("the whole of it", () => {
  test("behind a home router", () => {
    expect(formatSurvey(HOME)).toEqual([
      "Cone NAT, port-restricted: one outside port for all peers; lets in only ports that were sent to",
      "",
      "  this machine        gateway, the NAT                  internet",
      "  10.1.0.11:40000 ──▶ 10.1.0.1 │ 198.51.100.2:40000 ──▶ seen by 1 server",
      "",
      "Why",
      "  The server saw 198.51.100.2:40000 at all of its addresses and ports.",
      "  No answer got in from a port that nothing had been sent to.",
      "",
      "Going direct",
      "  with a peer that has",
      "    no NAT, any cone NAT  direct",
      '    symmetric NAT         direct by a hard-NAT punch ("ut nat4" tries one by hand), else over the lanes',
      "    UDP blocked           over the lanes",
      LANES,
      "",
      "Details",
      "  mapping    endpoint-independent",
      "  filtering  address-and-port-dependent",
      "  ports      the outside port is the inside one, if it is free",
      "  address    all ports of this machine come out at one address",
      "  hairpin    no",
      "  NATs       one: the gateway's own address outside is the one that servers see",
      '  gateway    10.1.0.1, which speaks PCP, NAT-PMP, UPnP: "ut nat map add PORT" may open a port to everybody',
      "",
      "  server             RTT ms  saw",
      "  ─────────────────  ──────  ──────────────────",
      "  203.0.113.10:3478    12.3  198.51.100.2:40000",
    ]);
  });

  test("behind a symmetric NAT, with servers that lie, fail and are not there", () => {
    const survey: NatSurvey = {
      ...SYMMETRIC,
      filtering: null,
      ports: { kind: "sequential", delta: -2 },
      layers: null,
      reasons: ["filtering-untested"],
      gateway: { address: "10.1.0.1", protocols: [], externalAddress: null },
      servers: [
        server(answered(40_000), 10),
        server(answered(39_998, 0.4), 11),
        server({ ...answered(1_234), kind: "contradicts" }, 12),
        server(SILENT, 13),
        server({ kind: "error", code: 420, message: "\u001b[2JUnknown" }, 14),
        server({ kind: "error", code: null, message: "what came back is no answer" }, 15),
        {
          ...server({ kind: "unresolved", message: "could not be resolved: ENOTFOUND" }),
          name: "stun.example.com:3478",
        },
      ],
    };
    expect(formatSurvey(survey)).toEqual([
      "Symmetric NAT: every destination sees another outside port, the last one minus 2",
      "",
      "  this machine        NAT                               internet",
      "  10.1.0.11:40000 ──▶ 10.1.0.1 │ 198.51.100.2:40000 ──▶ 203.0.113.10:3478",
      "                               │ 198.51.100.2:39998 ──▶ 203.0.113.11:3478",
      "",
      "Why",
      "  2 servers saw different outside ports of the same port here.",
      "  What 1 server saw beside that is not believed.",
      "",
      "Going direct",
      "  with a peer that has",
      "    no NAT, full or address-restricted cone NAT  direct",
      '    port-restricted cone NAT                     direct by a hard-NAT punch ("ut nat4" tries one by hand), else over the lanes',
      "    symmetric NAT, UDP blocked                   over the lanes",
      LANES,
      "",
      "Details",
      "  mapping    address-and-port-dependent",
      "  filtering  could not be told",
      "  ports      in sequence: each new one is the last one − 2",
      "  address    all ports of this machine come out at one address",
      "  hairpin    could not be told",
      "  NATs       one or more",
      "  gateway    10.1.0.1, which answers neither PCP nor NAT-PMP nor UPnP: it maps no ports",
      "",
      "  server                 RTT ms  saw",
      "  ─────────────────────  ──────  ────────────────────────────────────────────────────────",
      "  203.0.113.10:3478        12.3  198.51.100.2:40000",
      "  203.0.113.11:3478        0.40  198.51.100.2:39998",
      "  203.0.113.12:3478        12.3  198.51.100.2:1234, not believed: most others saw another",
      "  203.0.113.13:3478           -  no answer in 4.5 s",
      '  203.0.113.14:3478           -  error 420 "\\u001b[2JUnknown"',
      "  203.0.113.15:3478           -  what came back is no answer",
      "  stun.example.com:3478       -  could not be resolved: ENOTFOUND",
    ]);
  });

  test("where nothing comes back: an answer as well", () => {
    expect(formatSurvey({ ...BLOCKED, servers: [server(SILENT, 10), server(SILENT, 11)] })).toEqual([
      "UDP is blocked: nothing came back from any of 2 servers",
      "",
      "  this machine        gateway      internet",
      "  10.1.0.11:40000 ──▶ 10.1.0.1 ──╳ 2 servers, no answer",
      "",
      "Why",
      "  So many servers are not down at the same time.",
      "",
      "Going direct",
      "  with no peer, as it takes UDP",
      LANES,
      "",
      "Next: ask a server inside your own network, to see how far UDP gets: --stun HOST:PORT",
      "",
      "Details",
      '  gateway  10.1.0.1, which speaks PCP, NAT-PMP, UPnP: "ut nat map add PORT" may open a port to everybody',
      "",
      "  server             RTT ms  saw",
      "  ─────────────────  ──────  ──────────────────",
      "  203.0.113.10:3478       -  no answer in 4.5 s",
      "  203.0.113.11:3478       -  no answer in 4.5 s",
    ]);
  });

  test("without a way out: no picture", () => {
    const servers = [server({ kind: "unresolved", message: "no route to 203.0.113.10" })];
    expect(formatSurvey({ ...NOTHING, reasons: ["no-route"], servers, local: null, gateway: null })).toEqual([
      "Could not be told: this machine has no route to any server",
      "",
      "Going direct",
      LANES,
      "",
      'Next: see whether this machine is in a network ("ip route"), or ask over IPv6: --ipv6',
      "",
      "Details",
      "  gateway  none on this way out",
      "",
      "  server             RTT ms  saw",
      "  ─────────────────  ──────  ────────────────────────",
      "  203.0.113.10:3478       -  no route to 203.0.113.10",
    ]);
  });
});

describe("verdicts", () => {
  const FIREWALL: NatSurvey = { ...HOME, translated: false, hairpin: null, layers: "none", reasons: ["firewall"] };
  test.each([
    [{ ...FIREWALL, type: "open" }, "Open: no NAT, and anybody may send to this machine"],
    [
      { ...HOME, filtering: "endpoint-independent" },
      "Cone NAT, full: one outside port for all peers; lets in everybody",
    ],
    [
      { ...HOME, filtering: "address-dependent" },
      "Cone NAT, address-restricted: one outside port for all peers; lets in only hosts that were sent to",
    ],
    [
      { ...HOME, filtering: null, reasons: ["one-address"] },
      "Cone NAT: one outside port for all peers; whom it lets in could not be told",
    ],
    [FIREWALL, "No NAT, but a firewall that is like a cone NAT, port-restricted: lets in only ports that were sent to"],
    [
      { ...FIREWALL, filtering: null, reasons: ["one-address"] },
      "No NAT; whether a firewall stands before this machine could not be told",
    ],
    [SYMMETRIC, "Symmetric NAT: every destination sees another outside port, chosen at random"],
    [
      { ...SYMMETRIC, ports: { kind: "sequential", delta: 1 } },
      "Symmetric NAT: every destination sees another outside port, the last one plus 1",
    ],
    [
      { ...SYMMETRIC, ports: null },
      "Symmetric NAT: every destination sees another outside port, by no rule that was seen",
    ],
    [BLOCKED, "UDP is blocked, or the server is down: nothing came back"],
    [{ ...NOTHING, reasons: ["nothing-resolved"] }, "Could not be told: no server's address could be found"],
    [{ ...NOTHING, reasons: ["no-server"] }, "Could not be told: there is no server to ask"],
    [
      { ...NOTHING, reasons: ["only-errors"] },
      "Could not be told: servers answered, so UDP passes, but none told an address",
    ],
    [
      { ...NOTHING, reasons: ["filtering-untested", "one-answer"] },
      "Could not be told: only one server answered, from one port, which cannot tell a cone NAT from a symmetric one",
    ],
    [
      { ...NOTHING, reasons: ["servers-contradict"] },
      "Could not be told: the servers contradict each other, and no majority agrees",
    ],
  ] as [NatSurvey, string][])("%#: %j", (survey, title) => expect(formatSurvey(survey)[0]).toBe(title));

  test.each([
    ["open", { ...FIREWALL, type: "open", filtering: "endpoint-independent" }],
    ["a full cone", { ...HOME, filtering: "endpoint-independent" }],
  ] as [string, NatSurvey][])("%s is reached by all", (_name, survey) => {
    expect(paragraph(survey, "Going direct")).toEqual([
      "Going direct",
      "  with a peer that has",
      "    no NAT, any cone NAT, symmetric NAT  direct",
      "    UDP blocked                          over the lanes",
      LANES,
    ]);
  });

  test("what a better server would show is said", () => {
    const survey: NatSurvey = { ...HOME, mapping: null, filtering: null, reasons: ["one-address"] };
    const lines = formatSurvey(survey);
    expect(paragraph(survey, "Why")).toEqual([
      "Why",
      "  The server saw 198.51.100.2:40000 at both of its ports; another address probably would, too.",
      "  An answer got in from another port of the server; from another address none could be sent.",
    ]);
    expect(paragraph(survey, "Going direct")).toContain(
      "    symmetric NAT         direct, perhaps only by a hard-NAT punch: that depends on what could not be told",
    );
    expect(lines).toContain(
      'To know all: ask a server with two addresses (RFC 5780: coturn, "ut server" on two) with --stun HOST:PORT',
    );
  });
});

describe("the way out", () => {
  const picture = (some: Partial<NatSurvey>) => formatSurvey({ ...HOME, ...some }).slice(2, 5);
  const shared = { address: "100.64.0.1", protocols: null, externalAddress: null };
  test.each([
    [
      {
        layers: "two-or-more",
        gateway: { address: "10.1.0.1", protocols: ["nat-pmp"], externalAddress: "100.64.0.2" },
      },
      [
        "  this machine        gateway, a NAT            another NAT            internet",
        "  10.1.0.11:40000 ──▶ 10.1.0.1 │ 100.64.0.2 ──▶ 198.51.100.2:40000 ──▶ seen by 1 server",
        "",
      ],
    ],
    [
      { layers: "carrier", gateway: shared, local: { address: "100.64.0.7", port: 40_000 } },
      [
        "  this machine         the carrier's NAT                   internet",
        "  100.64.0.7:40000 ──▶ 100.64.0.1 │ 198.51.100.2:40000 ──▶ seen by 1 server",
        "",
      ],
    ],
    [
      { gateway: null, layers: null },
      [
        "  this machine        NAT                    internet",
        "  10.1.0.11:40000 ──▶ 198.51.100.2:40000 ──▶ seen by 1 server",
        "",
      ],
    ],
    [
      { translated: false, local: MAPPED, reasons: ["firewall"] },
      [
        "  this machine           gateway      firewall         internet",
        "  198.51.100.2:40000 ──▶ 10.1.0.1 ──▶ same address ──▶ seen by 1 server",
        "",
      ],
    ],
    [
      SYMMETRIC,
      [
        "  this machine        gateway, the NAT                  internet",
        "  10.1.0.11:40000 ──▶ 10.1.0.1 │ 198.51.100.2:40000 ──▶ 203.0.113.10:3478",
        "                               │ another port       ──▶ elsewhere",
      ],
    ],
    [
      { ...NOTHING, reasons: ["only-errors"] },
      ["  this machine        gateway      internet", "  10.1.0.11:40000 ──▶ 10.1.0.1 ──▶ 1 server, no address", ""],
    ],
  ] as [Partial<NatSurvey>, string[]][])("%#", (some, lines) => expect(picture(some)).toEqual(lines));

  test.each([
    [{ layers: "two-or-more" }, "two or more: the gateway's own address outside is not a public one"],
    [{ layers: "carrier" }, "the carrier's: this machine's address is one of the carriers' shared ones"],
    [{ layers: null }, "one or more: the gateway's own address outside is 198.51.100.2"],
  ] as [Partial<NatSurvey>, string][])("%j", (some, fact) => {
    expect(paragraph({ ...HOME, ...some }, "Details")).toContain(`  NATs       ${fact}`);
  });
});
