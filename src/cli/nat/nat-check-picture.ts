import type { NatSurvey } from "../../app/nat/nat-survey.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { countServers } from "./nat-check-servers.ts";

/** One thing on the way out, and the addresses it has, one below the other. */
interface Station {
  readonly title: string;
  readonly lines: readonly string[];
}

const ARROW = " ──▶ ";
const NO_WAY = " ──╳ ";
/** Between the two sides of a router. */
const SIDES = " │ ";
/** Of the ways that a symmetric NAT makes out of one. */
const MAX_WAYS = 4;

/** The way out from this host to the internet; nothing where there is none. */
export function wayOut(survey: NatSurvey): string[] {
  const { local, type } = survey;
  if (local === null) return [];
  const stations = [{ title: "this machine", lines: [formatEndpoint(local)] }, ...between(survey), internet(survey)];
  const rows = Math.max(...stations.map(({ lines }) => lines.length));
  const last = stations.length - 1;
  const gap = (station: number, row: number) => {
    if (station === 0) return "";
    const isWay = [station - 1, station].every((i) => stations[i]?.lines[row] !== undefined);
    const arrow = station === last && type === "blocked" ? NO_WAY : ARROW;
    return isWay ? arrow : " ".repeat(ARROW.length);
  };
  const cell = ({ title, lines }: Station, text: string) =>
    text.padEnd(Math.max(title.length, ...lines.map((line) => line.length)));
  const titles = stations.map((one, i) => " ".repeat(gap(i, -1).length) + cell(one, one.title));
  const ways = Array.from({ length: rows }, (_, row) =>
    stations.map((one, i) => gap(i, row) + cell(one, one.lines[row] ?? "")),
  );
  return [titles, ...ways].map((cells) => cells.join("").trimEnd());
}

function between(survey: NatSurvey): Station[] {
  const { mapped, translated, gateway, layers, type, reasons } = survey;
  const inside = gateway?.address;
  if (mapped === null || translated !== true) {
    const firewall = reasons.includes("firewall") ? [{ title: "firewall", lines: ["same address"] }] : [];
    return inside === undefined ? firewall : [{ title: "gateway", lines: [inside] }, ...firewall];
  }
  const outside = type === "symmetric" ? waysOf(survey).map(({ seen }) => seen) : [formatEndpoint(mapped)];
  if (layers === "two-or-more") {
    const sides = [inside, gateway?.externalAddress].filter(Boolean);
    return [
      { title: "gateway, a NAT", lines: [sides.join(SIDES)] },
      { title: "another NAT", lines: outside },
    ];
  }
  const title = layers === "carrier" ? "the carrier's NAT" : layers === "one" ? "gateway, the NAT" : "NAT";
  const side = (row: number) => (inside === undefined ? "" : (row === 0 ? inside : "".padEnd(inside.length)) + SIDES);
  return [{ title, lines: outside.map((line, row) => side(row) + line) }];
}

function internet(survey: NatSurvey): Station {
  const { servers, type, mapped } = survey;
  if (type === "symmetric") return { title: "internet", lines: waysOf(survey).map(({ by }) => by) };
  const believed = servers.filter(({ outcome }) => outcome.kind === "answered").length;
  const nothing = type === "blocked" ? "no answer" : "no address";
  const text = mapped === null ? `${countServers(servers.length)}, ${nothing}` : `seen by ${countServers(believed)}`;
  return { title: "internet", lines: [text] };
}

/** Which outside port is for whom. */
function waysOf({ servers }: NatSurvey): { seen: string; by: string }[] {
  const ways = servers.flatMap(({ endpoint, outcome }) =>
    outcome.kind === "answered" && endpoint !== null
      ? [{ seen: formatEndpoint(outcome.mapped), by: formatEndpoint(endpoint) }]
      : [],
  );
  const [only] = ways;
  if (ways.length === 1 && only !== undefined) return [only, { seen: "another port", by: "elsewhere" }];
  return ways.slice(0, MAX_WAYS);
}
