import { describe, expect, test } from "bun:test";
import type { ExplainedNode, ExplainedPipe } from "../../../../src/cli/nat/nat-explain-node.ts";
import { formatExplanation } from "../../../../src/cli/nat/nat-explain-view.ts";
import { attempt, CONE, counters, DIRECT, NODE, pipe, SYMMETRIC } from "../explained-pipes.ts";

function explain(some: Partial<ExplainedPipe>, node: ExplainedNode = NODE): string {
  return formatExplanation(pipe(some), node).join("\n");
}

/** The paragraph below a title, or the verdict's line. */
function part(title: string, some: Partial<ExplainedPipe>, node?: ExplainedNode): string[] {
  const paragraph = explain(some, node)
    .split("\n\n")
    .find((lines) => lines.startsWith(`${title}\n`));
  return (
    paragraph
      ?.split("\n")
      .slice(1)
      .map((line) => line.trim()) ?? []
  );
}

const verdict = (some: Partial<ExplainedPipe>) => explain(some).split("\n")[0]?.replace("office, wireguard: ", "");
const picture = (some: Partial<ExplainedPipe>, node?: ExplainedNode) =>
  explain(some, node).split("\n\n")[1]?.split("\n");

describe("the whole of it", () => {
  test("direct by ICE", () => {
    const steps = [
      [0, "candidates", "host 10.1.0.11:40000, srflx 198.51.100.2:40000"],
      [45, "plan", "cone to cone: plain, hard-NAT no"],
      [60, "start", "in 12 ms"],
      [390, "ice-selected", "srflx to srflx 198.51.100.6:41000"],
      [420, "direct", "ice, 198.51.100.6:41000"],
    ] as const;
    const attempts = [attempt({ winner: "ice", verdict: "direct" }, steps)];
    const some = { route: "direct", direct: DIRECT, directRttMs: 3.2, verdict: "direct" } as const;
    expect(explain({ ...some, attempts, retryInMs: null, counters: counters() })).toBe(`\
office, wireguard: direct since 2026-01-31 12:01:00 UTC, 4 min ago, by ICE within 0.42 s

  ▶ home ══▶ NAT 198.51.100.2 ══▶ NAT 198.51.100.6:41000 ══▶ office  3.2 ms
    home ──▶ server 203.0.113.10:5443 ──▶ office                     24.1 ms

  datagrams sent: 3,456 direct, 12 over the server
  datagrams received: 3,400 direct, 11 over the server

NATs
  home      port-restricted cone NAT, outside 198.51.100.2:40000
  office    port-restricted cone NAT, outside 198.51.100.6:41000
  together  plain punching (ICE) gets through such NATs

What was tried
  2026-01-31 12:01:00 UTC, 4 min ago: direct by ICE after 0.42 s
     0.00 s  addresses that this node offers: host 10.1.0.11:40000, srflx 198.51.100.2:40000
     0.04 s  NATs, here to office, and what follows: cone to cone: plain, hard-NAT no
     0.06 s  the server's word to begin: in 12 ms
     0.39 s  ICE has found an address, from here to office: srflx to srflx 198.51.100.6:41000
     0.42 s  proven by sealed packets both ways: ice, 198.51.100.6:41000

Next
  should the direct path fall silent, datagrams go on over the server, and it is tried again`);
  });

  test("over the server, because hard-NAT has found nothing", () => {
    const steps = [
      [0, "candidates", "host 10.1.0.11:40000"],
      [51, "plan", "symmetric to cone: hard-nat, hard-NAT nat4"],
      [60, "start", "in 3 ms"],
      [5_100, "ice-failed", "timeout, 2 pairs"],
      [5_100, "hardnat-begun", "as nat4"],
      [5_200, "punch-requested", "as nat4, seen at 198.51.100.2:47184"],
      [5_230, "introduced", "to 198.51.100.6, in 10 ms"],
      [5_240, "punching", "198.51.100.6:41000"],
      [15_240, "hardnat-failed", "by-chance"],
    ] as const;
    const report = { mode: "fallback", way: "hard-nat", role: "nat4", enteredHardNat: true, packets: 20_480 } as const;
    const causes = { iceCause: "timeout", hardNatCause: "by-chance", elapsedMs: 15_240 };
    const some = { ownNat: SYMMETRIC, mode: "fallback", verdict: "punch-failed", retryInMs: 9_000 } as const;
    expect(explain({ ...some, attempts: [attempt({ ...report, ...causes }, steps)] })).toBe(`\
office, wireguard: over the server, because no packet got through the NATs

  ▶ home ══▶ server 203.0.113.10:5443 ══▶ office               24.1 ms
    home ──▶ NAT 198.51.100.2 ──╳ NAT 198.51.100.6 ──▶ office  not open

NATs
  home      symmetric NAT, outside 198.51.100.2
  office    port-restricted cone NAT, outside 198.51.100.6:41000
  together  only hard-NAT punching gets through such NATs

What was tried
  2026-01-31 12:01:00 UTC, 4 min ago: not direct after 15.24 s; ICE: no check was answered in time; hard-NAT: too few ports were tried to tell, 20480 packets
     0.00 s  addresses that this node offers: host 10.1.0.11:40000
     0.05 s  NATs, here to office, and what follows: symmetric to cone: hard-nat, hard-NAT nat4
     0.06 s  the server's word to begin: in 3 ms
     5.10 s  ICE has found none: timeout, 2 pairs
     5.10 s  hard-NAT begins: as nat4
     5.20 s  hard-NAT asks the server to introduce both: as nat4, seen at 198.51.100.2:47184
     5.23 s  the server has introduced both: to 198.51.100.6, in 10 ms
     5.24 s  hard-NAT punches at: 198.51.100.6:41000
    15.24 s  hard-NAT has found none: by-chance

Next
  tried again in 9 s, if datagrams flow then
  until then they go over the server, as they do all along

What would help
  a port forwarded at either end: let its router do PCP or UPnP, or forward by hand the port of p2p.listen_addr and name it in nat.reflex_override
  raise hard_nat.window_ms or hard_nat.scan_count`);
  });

  test("a pipe that is not open", () => {
    const some = { state: "waiting", verdict: "peer-not-reachable", retryInMs: 4_000, peerNat: null } as const;
    expect(explain(some, { ...NODE, notReady: ["relay: Cannot connect to 203.0.113.10:5443"] })).toBe(`\
office, wireguard: no pipe yet: nobody by that name is at the server

Next
  asked for again in 4 s, and so on until it opens
  relay: Cannot connect to 203.0.113.10:5443

What would help
  start ut agent there; the name is the one in its certificate`);
  });
});

describe("the verdict", () => {
  const failed = { attempts: [attempt({})] };
  const direct = { direct: DIRECT, verdict: "direct" } as const;
  const meta = { winner: "hardnat", elapsedMs: 900, mode: "assist", role: "nat3" } as const;

  test.each<[Partial<ExplainedPipe>, string]>([
    [{}, "over the server, because nothing has been tried yet"],
    [{ attempts: [attempt(null)] }, "over the server, and going direct is being tried"],
    [{ ...failed, verdict: "punch-failed" }, "over the server, because no packet got through the NATs"],
    [
      { ...failed, verdict: "punch-failed", ownNat: SYMMETRIC },
      "over the server, because only hard-NAT punching would get through, and it is off",
    ],
    [{ verdict: "both-symmetric" }, "over the server, because both ends are behind symmetric NATs"],
    [
      { verdict: "udp-blocked", ownNat: { type: "blocked", filtering: null } },
      "over the server, because no UDP gets out here",
    ],
    [
      { verdict: "udp-blocked", peerNat: { type: "blocked", filtering: null } },
      "over the server, because no UDP gets out at office",
    ],
    [{ verdict: "peer-not-reachable" }, "over the server, because office sent no addresses to try"],
    [{ verdict: "prefers-relay" }, "over the server, because this node is told to stay there (p2p.prefer: relay)"],
    [{ verdict: "direct" }, "over the server, because the direct path has gone silent"],
    [{ verdict: "\u202enews" }, 'over the server, because "\\u202enews"'],
    [{ ...direct, route: "both" }, "over both paths, as one of them may be gone"],
    [
      { ...direct, route: "relay", directRttMs: 90 },
      "over the server, because the direct path, though open, is slower or loses too much (round trip 90.0 ms, over the server 24.1 ms), or was so lately",
    ],
    [
      { ...direct, route: "direct", direct: { ...DIRECT, meta } },
      "direct, by hard-NAT (assist, this end nat3) within 0.90 s",
    ],
    [
      { ...direct, route: "direct", direct: { ...DIRECT, meta: { ...meta, winner: "peer" } } },
      "direct, at an address that an earlier path led to, or that the peer moved to",
    ],
    [{ state: "opening" }, "no pipe yet: it is asked for the first time"],
    [{ state: "waiting", verdict: "not-authorised" }, "no pipe yet: it does not allow this node that service"],
    [{ state: "waiting", verdict: "go away" }, 'no pipe yet: its end came with "go away"'],
  ])("%#", (some, text) => {
    expect(verdict(some)).toBe(text);
  });

  test("nothing that it says of an open pipe is a loss of connectivity", () => {
    const verdicts = ["", "off", "prefers-relay", "unsupported", "both-symmetric", "udp-blocked", "peer-not-reachable"];
    const more = [
      "rendezvous-no-relay",
      "unproven",
      "punch-failed",
      "direct",
      "closed",
      "superseded",
      "network-changed",
    ];
    for (const one of [...verdicts, ...more]) {
      const text = explain({ verdict: one, attempts: [attempt({ verdict: one })] });
      expect(text).toStartWith("office, wireguard: over the server");
      expect(text).toContain("over the server, as they do all along");
      expect(text).not.toMatch(/offline|disconnect|unreachable|lost|broken|connection failed|no connection/);
    }
  });
});

describe("the picture", () => {
  test("hosts of one network, and of IPv6, have no NAT between them", () => {
    const direct = (remote: string) => ({ route: "direct", direct: { ...DIRECT, remote }, directRttMs: 0.31 }) as const;
    expect(picture(direct("10.1.0.12:41000"))?.[0]).toBe("  ▶ home ══▶ office 10.1.0.12:41000               0.31 ms");
    expect(picture(direct("[2001:db8::7]:41000"))?.[0]).toBe(
      "  ▶ home ══▶ office [2001:db8::7]:41000           0.31 ms",
    );
  });

  test("both arrows while one path is in doubt; a server whose lanes rest has no address here", () => {
    const open = { type: "open", filtering: "endpoint-independent" } as const;
    const some = { route: "both", direct: DIRECT, directRttMs: 3.2, ownNat: open, relayRttMs: null } as const;
    expect(picture(some, { ...NODE, server: undefined })).toEqual([
      "  ▶ home ══▶ NAT 198.51.100.6:41000 ══▶ office  3.2 ms",
      "  ▶ home ══▶ server ══▶ office",
    ]);
  });

  test("nothing was tried: one way", () => {
    expect(picture({})).toEqual(["  ▶ home ══▶ server 203.0.113.10:5443 ══▶ office  24.1 ms"]);
  });

  test("where no UDP passes", () => {
    const blocked = { type: "blocked", filtering: null } as const;
    expect(picture({ ownNat: blocked, attempts: [attempt({})] })?.[1]).toBe(
      "    home ──▶ UDP blocked ──╳ NAT 198.51.100.6 ──▶ office  not open",
    );
  });
});

describe("what the NATs make of each other", () => {
  const unknown = { type: "unknown", filtering: null } as const;
  const blocked = { type: "blocked", filtering: null } as const;

  test.each<[Partial<ExplainedPipe>, string[]]>([
    [
      { ownNat: { type: "open", filtering: null }, peerNat: { type: "cone", filtering: null } },
      ["home      no NAT, outside 198.51.100.2:40000", "plain punching (ICE) gets through such NATs"],
    ],
    [
      { ownNat: unknown, direct: DIRECT },
      ["home      not known, outside 198.51.100.2:40000", "too little is known to tell, but they have met"],
    ],
    [
      { ownNat: unknown },
      [
        "home      not known, outside 198.51.100.2:40000",
        "too little is known of one end to tell; ICE is tried all the same",
      ],
    ],
    [
      { ownNat: blocked },
      ["home      UDP blocked, outside 198.51.100.2:40000", "without UDP at both ends there is no direct way"],
    ],
    [
      { peerNat: null },
      ["home      port-restricted cone NAT, outside 198.51.100.2:40000", "the other end is not known yet"],
    ],
  ])("%#", (some, [own, together]) => {
    const lines = part("NATs", some);
    expect([lines[0], lines[2]]).toEqual([own, `together  ${together}`]);
  });
});

test("an attempt that the peer was ahead of, one under way, and one with more steps than are kept", () => {
  const long = { ...attempt({ winner: "ice", verdict: "direct" }, [[0, "later", "word"]]), omitted: 3 };
  expect(part("What was tried", { attempts: [long, attempt({ verdict: "direct" }), attempt(null)] })).toEqual([
    "2026-01-31 12:01:00 UTC, 4 min ago: under way",
    "2026-01-31 12:01:00 UTC, 4 min ago: ended after 0.42 s: another address was proven meanwhile",
    "2026-01-31 12:01:00 UTC, 4 min ago: direct by ICE after 0.42 s",
    "0.00 s  later: word",
    "and 3 more steps",
  ]);
});

describe("what comes next", () => {
  const LATER = "until then they go over the server, as they do all along";

  test.each<[Partial<ExplainedPipe>, string]>([
    [{ verdict: "punch-failed" }, "tried again as soon as datagrams flow"],
    [{ verdict: "punch-failed", retryInMs: 160_000 }, "tried again in 3 min, if datagrams flow then"],
    [{ verdict: "off" }, "nothing, as long as the config is as it is"],
    [{ role: "responder", retryInMs: null }, "office, which opened the pipe, says when it is tried again"],
  ])("%#", (some, text) => {
    expect(part("Next", some)).toEqual([text, LATER]);
  });
});

describe("what would help", () => {
  const FORWARD =
    "a port forwarded at either end: let its router do PCP or UPnP, or forward by hand the port of p2p.listen_addr and name it in nat.reflex_override";
  const blocked = { type: "blocked", filtering: null } as const;

  test.each<[string, Partial<ExplainedPipe>, string[]]>([
    ["direct", { direct: DIRECT, route: "direct" }, []],
    [
      "hard-NAT",
      { ownNat: SYMMETRIC },
      [
        "hard_nat.mode: fallback (or assist, which is quicker) in the configs of both ends; it is off at one at least",
        FORWARD,
      ],
    ],
    ["two symmetric NATs", { ownNat: SYMMETRIC, peerNat: SYMMETRIC }, [FORWARD]],
    ["no UDP", { ownNat: blocked, peerNat: blocked }, ["let UDP out at the firewall here and at office"]],
    [
      "a firewall",
      { verdict: "punch-failed" },
      ["a firewall at either end that lets UDP out but no answers in would look like this", FORWARD],
    ],
    [
      "not measured",
      { peerNat: { type: "unknown", filtering: null } },
      ['"ut nat check" at both ends: what it cannot tell, it says why'],
    ],
    [
      "STUN",
      { ownNat: CONE, attempts: [attempt({ hardNatCause: "no-reflex" })] },
      ["let UDP ports 3478 and 3479 reach the server, whose STUN tells this end's address"],
    ],
    ["nothing", {}, []],
  ])("%s", (_, some, lines) => {
    expect(part("What would help", some)).toEqual(lines);
  });
});
