import { type Address, formatAddress } from "../../config/address.ts";
import { type NatSurvey, surveyNat } from "../nat/nat-survey.ts";
import { ownServer, STUN_PORT, stunServersOf } from "../nat/stun-servers.ts";
import type { Check } from "./check.ts";
import { type Finding, ok, warning } from "./finding.ts";

/** What a node that would go direct needs: UDP out of its network, and the server's STUN. */
export const directCheck: Check = {
  name: "direct",
  doing: "asking STUN servers what NAT this machine is behind",
  async run(scene) {
    const { p2p, nat } = scene.config;
    if (!(scene.isPeer && p2p.direct) && !nat.watch) return [];
    const servers = stunServersOf(scene.config);
    if (servers.length === 0) return [];
    const survey = await surveyNat({ servers, family: 4, port: 0, signal: scene.signal }, () => {});
    return judgeSurvey(survey, ownServer(scene.config));
  },
};

/** `own`: the STUN of the node's own server, which alone can vouch for an address, as hard-NAT needs. */
export function judgeSurvey(survey: NatSurvey, own: readonly Address[]): Finding[] {
  const isBlocked = survey.type === "blocked";
  return [outlook(survey, own), ...(isBlocked ? [] : own.flatMap((address) => ownStun(survey, address)))];
}

function outlook({ type, servers }: NatSurvey, own: readonly Address[]): Finding {
  const answered = servers.filter(({ outcome }) => outcome.kind === "answered").length;
  const all = `${answered} of ${servers.length} STUN servers answered`;
  const explain = "ut nat check";
  switch (type) {
    case "open":
    case "cone":
    case "symmetric":
      return ok(`${NATS[type]} (${all}; "${explain}" tells more)`);
    case "blocked":
      return warning(
        "udp-blocked",
        `UDP does not get out, or does not come back (${all}): everything goes through the server`,
        explain,
        ...(own.length > 0 ? [OPEN] : []),
      );
    case "unknown":
      return warning("nat-unknown", `what NAT this machine is behind cannot be told (${all})`, explain);
    default:
      return type satisfies never;
  }
}

const OPEN = `open UDP ${STUN_PORT} and ${STUN_PORT + 1} in the server's firewall, and in its cloud's security group`;

const NATS = {
  open: "no NAT: peers reach this machine directly",
  cone: "a cone NAT: most peers are reached directly",
  symmetric: "a symmetric NAT: peers without one are reached directly",
} as const;

function ownStun({ servers }: NatSurvey, address: Address): Finding[] {
  const name = formatAddress(address);
  if (servers.find((server) => server.name === name)?.outcome.kind !== "timeout") return [];
  const text = `the server's own STUN, UDP ${name}, does not answer: only strangers tell this node its address`;
  return [warning("stun-silent", text, OPEN)];
}
