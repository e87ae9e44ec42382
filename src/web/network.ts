import type { StatusReport, TraversalReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { type Fact, FactList } from "./facts.ts";
import { formatThings } from "./format.ts";

type Network = NonNullable<TraversalReport["network"]>;
type Nat = TraversalReport["pipes"][number]["peerNat"];

/** What this node found out about the network that it stands in; hidden where it does not look. */
export class NetworkVerdict {
  readonly #section = byId("network");
  readonly #facts = new FactList();

  constructor() {
    this.#section.append(this.#facts.root);
  }

  update({ traversal: { network, stats } }: StatusReport): void {
    this.#section.hidden = network === null;
    if (network === null) return;
    const { punches_attempted: tried, punches_succeeded: won, relay_fallbacks: stayed } = stats;
    const direct = `${won} of ${formatThings(tried, "punch", "punches")} worked; ${formatThings(stayed, "pipe")} stayed on the server`;
    this.#facts.update([...factsOf(network), { name: "Going direct", text: direct }]);
  }
}

/** `port-restricted cone` and the like. */
export function natWords(nat: Nat): string {
  switch (nat?.type) {
    case "open":
      return "no NAT";
    case "cone":
      return nat.filtering === null ? "cone" : `${CONES[nat.filtering]} cone`;
    case "symmetric":
      return "symmetric";
    case "blocked":
      return "UDP blocked";
    default:
      return "not known";
  }
}

const CONES = {
  "endpoint-independent": "full",
  "address-dependent": "address-restricted",
  "address-and-port-dependent": "port-restricted",
} as const;

function factsOf({ nat, reflex, portMapping, listen, listen6, checkedAt, checks, changes }: Network): Fact[] {
  const servers = nat?.servers ?? [];
  const answered = servers.filter(({ outcome }) => outcome.kind === "answered").length;
  const when = checkedAt === null ? "not yet" : `${checkedAt.slice(0, 19).replace("T", " ")} UTC`;
  return [
    { name: "Verdict", text: nat === null ? "being found out" : natWords(nat) },
    { name: "Address outside", text: reflex === null ? "not known" : `${reflex.endpoint}, ${SOURCES[reflex.source]}` },
    { name: "Port mapping", text: portMapping === null ? "none" : mappingWords(portMapping) },
    { name: "Own UDP", text: listen6 === null ? listen : `${listen}, ${listen6}` },
    { name: "STUN servers", text: nat === null ? "being asked" : `${answered} of ${servers.length} answered` },
    { name: "Last check", text: when },
    { name: "Checks", text: `${checks}, the verdict changed at ${changes} of them` },
  ];
}

const SOURCES = {
  override: "set in the config",
  "port-mapping": "mapped by the gateway",
  server: "seen by the server",
  stun: "seen by STUN servers",
  peer: "seen by peers",
} as const;

function mappingWords({ protocol, external, verified }: NonNullable<Network["portMapping"]>): string {
  const seen = verified === null ? "nobody could try it" : verified ? "seen to work" : "seen not to work";
  return `${external} by ${protocol}, ${seen}`;
}
