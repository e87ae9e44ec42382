import type { NatSurvey } from "../../app/nat/nat-survey.ts";
import { type DirectWay, directWay, type NatKind } from "../../core/nat/direct-way.ts";
import { factLines } from "./nat-check-facts.ts";
import { wayOut } from "./nat-check-picture.ts";
import { serverTable } from "./nat-check-servers.ts";
import { nextStep, reasonLines, titleOf } from "./nat-check-verdict.ts";

/** What a person reads: the verdict in a line, a picture, why, what it means for going direct, then the details. */
export function formatSurvey(survey: NatSurvey): string[] {
  const paragraphs = [
    [titleOf(survey)],
    indented(wayOut(survey)),
    section("Why", reasonLines(survey)),
    section("Going direct", outlook(survey)),
    nextStep(survey),
    section("Details", factLines(survey)),
    indented(survey.servers.length > 0 ? serverTable(survey.servers) : []),
  ];
  return paragraphs.filter((lines) => lines.length > 0).flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length > 0 ? [title, ...indented(lines)] : [];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

const WIDE_CONE = "full or address-restricted cone NAT";
const NARROW_CONE = "port-restricted cone NAT";

const OTHERS: readonly (readonly [name: string, kind: NatKind])[] = [
  ["no NAT", { type: "open", filtering: "endpoint-independent" }],
  [WIDE_CONE, { type: "cone", filtering: "address-dependent" }],
  [NARROW_CONE, { type: "cone", filtering: "address-and-port-dependent" }],
  ["symmetric NAT", { type: "symmetric", filtering: "address-and-port-dependent" }],
  ["UDP blocked", { type: "blocked", filtering: null }],
];

const WAYS: Readonly<Record<DirectWay | "unknown", string>> = {
  plain: "direct",
  "hard-nat": 'direct by a hard-NAT punch ("ut nat4" tries one by hand), else over the lanes',
  relay: "over the lanes",
  unknown: "direct, perhaps only by a hard-NAT punch: that depends on what could not be told",
};

const LANES = "The lanes carry everything to every peer, whatever stands here; going direct only makes it faster.";

/** One line for each way, with the peers that are reached by it. */
function outlook(survey: NatSurvey): string[] {
  if (survey.type === "unknown") return [LANES];
  if (survey.type === "blocked") return ["with no peer, as it takes UDP", LANES];
  const peers = Map.groupBy(OTHERS, ([, kind]) => directWay(survey, kind) ?? "unknown");
  const rows = [...peers].map(([way, kinds]) => {
    const names = kinds.map(([name]) => name).join(", ");
    return [names.replace(`${WIDE_CONE}, ${NARROW_CONE}`, "any cone NAT"), WAYS[way]] as const;
  });
  const width = Math.max(...rows.map(([names]) => names.length));
  return ["with a peer that has", ...rows.map(([names, way]) => `  ${names.padEnd(width)}  ${way}`), LANES];
}
