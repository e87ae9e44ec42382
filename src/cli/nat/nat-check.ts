import { measureLifetime } from "../../app/nat/mapping-lifetime.ts";
import { surveyNat } from "../../app/nat/nat-survey.ts";
import { stunServersOf } from "../../app/nat/stun-servers.ts";
import { type Address, parseAddress } from "../../config/address.ts";
import { loadConfig } from "../../config/load.ts";
import { DEFAULT_STUN_SERVERS } from "../../core/nat/default-stun-servers.ts";
import { ipFamily } from "../../core/net/ip.ts";
import { type Command, integerFlag, type ParsedFlags, parseFlags, refusePositionals, stringFlag } from "../command.ts";
import { stunAddress } from "../stun-address.ts";
import { showLifetime } from "./nat-check-lifetime.ts";
import { checkProgress } from "./nat-check-progress.ts";
import { formatSurvey } from "./nat-check-view.ts";

const FLAGS = {
  stun: { type: "string", multiple: true },
  config: { type: "string", short: "c" },
  port: { type: "string" },
  ipv6: { type: "boolean" },
  lifetime: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const HELP = `ut nat check                 what NAT this machine is behind, and what that means for going direct

Asks STUN servers what they see of a UDP port of this machine, and the gateway whether it maps ports; maps none. Takes
five seconds at most.

  --stun HOST[:PORT]   ask this server and no other, port 3478 unless told; once for each. One with two addresses
                       (RFC 5780) is enough for all that can be told; so is "ut server" on a machine with two
  --config FILE        the servers of a node: its own, then nat.stun_servers. Without either: ${DEFAULT_STUN_SERVERS.length} public ones
  --port N             test this UDP port; it must be free (any)
  --ipv6               IPv6 instead of IPv4
  --lifetime           then measure how long the NAT remembers a silent port, which takes up to 15 minutes
  --json               one JSON object on stdout and nothing else

Exit code: 0 it could be told ("blocked" is an answer, too), 1 it could not, 130 interrupted.`;

const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

/** What `ut nat check` does beyond its terminal; tests replace it. */
export interface CheckSurroundings {
  readonly surveyNat: typeof surveyNat;
  readonly measureLifetime: typeof measureLifetime;
}

/** `ut nat check`: 0 when the NAT's type could be told, else 1; throws `io.bind` when the port is taken. */
export function natCheckCommand({ surveyNat, measureLifetime }: CheckSurroundings): Command {
  return {
    name: "check",
    summary: "what NAT this machine is behind",
    help: HELP,
    async run(argv, terminal) {
      const flags = parseFlags(argv, FLAGS);
      refusePositionals("ut nat check", flags);
      const servers = readServers(flags);
      const family = flags.values.ipv6 === true || areIpv6(servers) ? 6 : 4;
      const port = integerFlag(flags, "port", { min: 1, max: 65_535 }) ?? 0;
      const json = flags.values.json === true;
      using progress = checkProgress(terminal, servers.length, json);
      const { signal } = terminal;
      const survey = await surveyNat({ servers, family, port, signal }, (step) => progress.step(step));
      const isTimed = flags.values.lifetime === true;
      if (json) {
        const lifetime = isTimed ? { lifetime: (await measureLifetime(survey, signal, () => {})) ?? null } : {};
        progress.report(JSON.stringify({ ...survey, ...lifetime }));
      } else {
        progress.report(formatSurvey(survey).join("\n"));
        if (isTimed) await showLifetime(measureLifetime, survey, terminal);
      }
      if (signal.aborted) return EXIT_INTERRUPTED;
      return survey.type === "unknown" ? EXIT_FAILED : 0;
    },
  };
}

export const natCheck: Command = natCheckCommand({ surveyNat, measureLifetime });

function readServers(flags: ParsedFlags): readonly Address[] {
  const named = [flags.values.stun ?? []].flat().map(String);
  const path = stringFlag(flags, "config");
  const config = path === undefined ? undefined : loadConfig(path);
  if (named.length > 0) return named.map(stunAddress);
  if (config !== undefined) return stunServersOf(config);
  return DEFAULT_STUN_SERVERS.map((server) => parseAddress(server, "target"));
}

/** Addresses without a name among them, which could be either. */
function areIpv6(servers: readonly Address[]): boolean {
  return servers.length > 0 && servers.every(({ host }) => ipFamily(host) === 6);
}
