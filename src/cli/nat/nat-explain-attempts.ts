import type { ExplainedNode, ExplainedPipe } from "./nat-explain-node.ts";
import { formatMoment, formatSeconds } from "./nat-explain-time.ts";
import { hardNatCause, iceCause, verdictWords } from "./nat-explain-words.ts";

type Attempt = ExplainedPipe["attempts"][number];
type Step = Attempt["steps"][number];

/** Every attempt that is remembered, the last one first: when, how it ended, and what each step said. */
export function attemptLines({ attempts, peer }: ExplainedPipe, node: ExplainedNode): string[] {
  return attempts
    .toReversed()
    .flatMap((attempt) => [
      `${formatMoment(attempt.startedAt, node)}: ${outcome(attempt, peer)}`,
      ...attempt.steps.map((step) => `  ${formatSeconds(step.atMs).padStart(7)}  ${stepText(step, peer)}`),
      ...(attempt.omitted > 0 ? [`           and ${attempt.omitted} more steps`] : []),
    ]);
}

function outcome({ report }: Attempt, peer: string): string {
  if (report === null) return "under way";
  const { winner, elapsedMs, iceCause: ice, hardNatCause: hardNat, packets } = report;
  const after = `after ${formatSeconds(elapsedMs)}`;
  if (winner !== null) return `direct by ${winner === "ice" ? "ICE" : "hard-NAT"} ${after}`;
  if (report.verdict === "direct") return `ended ${after}: another address was proven meanwhile`;
  const causes = [
    ...(ice === null ? [] : [`ICE: ${iceCause(ice)}`]),
    ...(hardNat === null ? [] : [`hard-NAT: ${hardNatCause(hardNat)}, ${packets} packets`]),
  ];
  return [`not direct ${after}`, ...(causes.length === 0 ? [verdictWords(report.verdict, peer)] : causes)].join("; ");
}

/** A step of a later version stands as it came. */
function stepText({ what, detail }: Step, peer: string): string {
  const text = STEPS[what]?.replace("PEER", peer) ?? what;
  return detail === "" ? text : `${text}: ${detail}`;
}

const STEPS: Readonly<Record<string, string>> = {
  candidates: "addresses that this node offers",
  plan: "NATs, here to PEER, and what follows",
  start: "the server's word to begin",
  "ice-selected": "ICE has found an address, from here to PEER",
  "ice-failed": "ICE has found none",
  "hardnat-begun": "hard-NAT begins",
  "punch-requested": "hard-NAT asks the server to introduce both",
  introduced: "the server has introduced both",
  punching: "hard-NAT punches at",
  hit: "a probe of hard-NAT got through, from",
  "hardnat-failed": "hard-NAT has found none",
  direct: "proven by sealed packets both ways",
};
