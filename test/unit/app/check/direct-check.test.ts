import { expect, test } from "bun:test";
import { judgeSurvey } from "../../../../src/app/check/direct-check.ts";
import { answered, BLOCKED, HOME, NOTHING, SILENT, SYMMETRIC, server } from "../../cli/nat/nat-surveys.ts";

const OWN = [{ host: "203.0.113.7", port: 3478 }];
const OPEN = "open UDP 3478 and 3479 in the server's firewall, and in its cloud's security group";

test("the kind of NAT, and how many servers know of it", () => {
  const all = '1 of 1 STUN servers answered; "ut nat check" tells more';
  const text = (survey: typeof HOME) => judgeSurvey(survey, []).map((finding) => [finding.verdict, finding.text]);
  expect(text(HOME)).toEqual([["ok", `a cone NAT: most peers are reached directly (${all})`]]);
  expect(text(SYMMETRIC)).toEqual([["ok", `a symmetric NAT: peers without one are reached directly (${all})`]]);
  expect(text({ ...HOME, type: "open" })).toEqual([["ok", `no NAT: peers reach this machine directly (${all})`]]);
});

test("what cannot be told, and UDP that does not get out", () => {
  expect(judgeSurvey(NOTHING, [])).toEqual([
    {
      verdict: "warning",
      reason: "nat-unknown",
      text: "what NAT this machine is behind cannot be told (1 of 1 STUN servers answered)",
      remedy: ["ut nat check"],
    },
  ]);
  expect(judgeSurvey({ ...BLOCKED, servers: [server(SILENT, 7)] }, OWN)).toEqual([
    {
      verdict: "warning",
      reason: "udp-blocked",
      text: "UDP does not get out, or does not come back (0 of 1 STUN servers answered): everything goes through the server",
      remedy: ["ut nat check", OPEN],
    },
  ]);
});

test("the server's own STUN is missed where others answer", () => {
  const servers = [server(SILENT, 7), server(answered(40_000))];
  expect(judgeSurvey({ ...HOME, servers }, OWN)[1]).toEqual({
    verdict: "warning",
    reason: "stun-silent",
    text: "the server's own STUN, UDP 203.0.113.7:3478, does not answer: only strangers tell this node its address",
    remedy: [OPEN],
  });
  expect(judgeSurvey({ ...HOME, servers: [server(answered(40_000), 7)] }, OWN)).toHaveLength(1);
});
