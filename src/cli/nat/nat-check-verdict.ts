import type { NatSurvey } from "../../app/nat/nat-survey.ts";
import type { Filtering } from "../../core/nat/behaviour.ts";
import type { NatReason } from "../../core/nat/nat-report.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { countServers } from "./nat-check-servers.ts";

/** The verdict, in one line. */
export function titleOf(survey: NatSurvey): string {
  switch (survey.type) {
    case "open":
      return "Open: no NAT, and anybody may send to this machine";
    case "cone":
      return survey.translated ? coneTitle(survey) : firewallTitle(survey);
    case "symmetric":
      return `Symmetric NAT: every destination sees another outside port, ${portsOf(survey)}`;
    case "blocked":
      return survey.servers.length === 1
        ? "UDP is blocked, or the server is down: nothing came back"
        : `UDP is blocked: nothing came back from any of ${survey.servers.length} servers`;
    case "unknown":
      return `Could not be told: ${survey.reasons.flatMap((reason) => UNKNOWN[reason] ?? [])[0] ?? "nobody knows why"}`;
    default:
      return survey.type satisfies never;
  }
}

/** The names of RFC 3489, which people know, for the filterings of RFC 4787. */
const CONES: Readonly<Record<Filtering, readonly [name: string, letsIn: string]>> = {
  "endpoint-independent": ["full", "lets in everybody"],
  "address-dependent": ["address-restricted", "lets in only hosts that were sent to"],
  "address-and-port-dependent": ["port-restricted", "lets in only ports that were sent to"],
};

function coneTitle({ filtering }: NatSurvey): string {
  if (filtering === null) return "Cone NAT: one outside port for all peers; whom it lets in could not be told";
  const [name, letsIn] = CONES[filtering];
  return `Cone NAT, ${name}: one outside port for all peers; ${letsIn}`;
}

function firewallTitle({ filtering }: NatSurvey): string {
  if (filtering === null) return "No NAT; whether a firewall stands before this machine could not be told";
  const [name, letsIn] = CONES[filtering];
  return `No NAT, but a firewall that is like a cone NAT, ${name}: ${letsIn}`;
}

function portsOf({ ports }: NatSurvey): string {
  if (ports?.kind !== "sequential") return ports?.kind === "random" ? "chosen at random" : "by no rule that was seen";
  return `the last one ${ports.delta > 0 ? "plus" : "minus"} ${Math.abs(ports.delta)}`;
}

/** Reasons that leave the type open. */
const UNKNOWN: Partial<Readonly<Record<NatReason, string>>> = {
  "nothing-resolved": "no server's address could be found",
  "no-route": "this machine has no route to any server",
  "no-server": "there is no server to ask",
  "only-errors": "servers answered, so UDP passes, but none told an address",
  "one-answer": "only one server answered, from one port, which cannot tell a cone NAT from a symmetric one",
  "servers-contradict": "the servers contradict each other, and no majority agrees",
};

const BETTER_SERVER = 'a server with two addresses (RFC 5780: coturn, "ut server" on two) with --stun HOST:PORT';

/** What to do to be told more, if there is something. */
export function nextStep({ type, reasons, servers }: NatSurvey): string[] {
  if (reasons.includes("nothing-resolved"))
    return ["Next: see whether DNS works here, or name a server by its address: --stun ADDRESS:PORT"];
  if (reasons.includes("no-route"))
    return ['Next: see whether this machine is in a network ("ip route"), or ask over IPv6: --ipv6'];
  if (type === "blocked")
    return [
      servers.length === 1
        ? "Next: ask a server that is known to answer: --stun HOST:PORT"
        : "Next: ask a server inside your own network, to see how far UDP gets: --stun HOST:PORT",
    ];
  if (type === "unknown") return [`Next: ask ${BETTER_SERVER}`];
  const isOpen = type === "cone" && (reasons.includes("one-address") || reasons.includes("filtering-untested"));
  return isOpen ? [`To know all: ask ${BETTER_SERVER}`] : [];
}

/** What the verdict rests on: a sentence a line. */
export function reasonLines(survey: NatSurvey): string[] {
  const { type, servers } = survey;
  if (type === "blocked") return servers.length === 1 ? [] : ["So many servers are not down at the same time."];
  if (survey.mapped === null) return [];
  const liars = servers.filter(({ outcome }) => outcome.kind === "contradicts").length;
  return [
    mappingReason(survey, formatEndpoint(survey.mapped)),
    ...(liars > 0 ? [`What ${countServers(liars)} saw beside that is not believed.`] : []),
    ...(type === "open" || type === "cone" ? [filteringReason(survey)] : []),
  ];
}

function mappingReason({ type, translated, mapping, servers }: NatSurvey, seen: string): string {
  const answers = servers.filter(({ outcome }) => outcome.kind === "answered").length;
  const who = answers === 1 ? "The server" : countServers(answers);
  if (translated === false) return `${seen} is this machine's own address, and what ${who.toLowerCase()} saw.`;
  if (type === "symmetric") return `${who} saw different outside ports of the same port here.`;
  if (type === "unknown" || answers > 1) return `${who} saw ${seen}.`;
  if (mapping === null) return `The server saw ${seen} at both of its ports; another address probably would, too.`;
  return `The server saw ${seen} at all of its addresses and ports.`;
}

function filteringReason({ filtering, reasons }: NatSurvey): string {
  switch (filtering) {
    case "endpoint-independent":
      return "An answer got in from an address that nothing had been sent to.";
    case "address-dependent":
      return "An answer got in from another port of a server, but none from another address.";
    case "address-and-port-dependent":
      return "No answer got in from a port that nothing had been sent to.";
    case null:
      return reasons.includes("filtering-untested")
        ? "No server could answer from another address or port, which would show who may send to it."
        : "An answer got in from another port of the server; from another address none could be sent.";
    default:
      return filtering satisfies never;
  }
}
