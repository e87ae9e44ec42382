import { nearest } from "../../config/nearest.ts";
import { UtError } from "../../core/error.ts";
import { askStatus } from "../../io/http/ask-status.ts";
import { type Command, parseFlags } from "../command.ts";
import { DEFAULT_STATUS, statusAddress } from "../status/status-address.ts";
import { type ExplainedNode, explainedNode } from "./nat-explain-node.ts";
import { formatExplanation } from "./nat-explain-view.ts";

const FLAGS = {
  config: { type: "string", short: "c" },
  status: { type: "string" },
  json: { type: "boolean" },
} as const;

const HELP = `ut nat explain PEER         why the traffic with PEER goes direct, or over the server

Asks the ut agent or ut relay that runs on this machine. PEER is a certificate name.

  --config FILE        the node's config: its metrics.listen_addr is asked
  --status HOST:PORT   ask this address (${DEFAULT_STATUS})
  --json               one JSON object on stdout and nothing else

Exit code: 0 it was told, 1 the node could not be asked or has no pipes to peers, 2 it has none to PEER.`;

/** `ut nat explain`. Throws `io.connect` when no node runs there, `usage.bad-value` for a peer without a pipe. */
export const natExplain: Command = {
  name: "explain",
  summary: "why the traffic with a peer goes direct, or over the server",
  help: HELP,
  async run(argv, terminal) {
    const flags = parseFlags(argv, FLAGS);
    const [peer, ...more] = flags.positionals;
    if (peer === undefined || more.length > 0)
      throw new UtError("usage.bad-value", "Cannot run ut nat explain: expected the certificate name of one peer");
    const address = statusAddress(flags, "status");
    const node = explainedNode(await askStatus(address, terminal.signal), address);
    const pipes = pipesTo(peer, node);
    if (flags.values.json === true) terminal.out(JSON.stringify({ node: node.cn, pipes }));
    else terminal.out(pipes.map((pipe) => formatExplanation(pipe, node).join("\n")).join("\n\n\n"));
    return 0;
  },
};

function pipesTo(peer: string, { cn, pipes }: ExplainedNode): ExplainedNode["pipes"] {
  const found = pipes.filter((pipe) => pipe.peer === peer);
  if (found.length > 0) return found;
  const known = [...new Set(pipes.map((pipe) => pipe.peer))].sort();
  const guess = nearest(peer, known);
  const hint = guess === undefined ? "" : `; did you mean ${guess}?`;
  throw new UtError(
    "usage.bad-value",
    known.length === 0
      ? `Cannot explain ${peer}: ${cn} has no pipe to anybody now`
      : `Cannot explain ${peer}: ${cn} has pipes to ${known.join(", ")}${hint}`,
  );
}
