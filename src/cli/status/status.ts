import { UtError } from "../../core/error.ts";
import { askStatus } from "../../io/http/ask-status.ts";
import type { StatusReport } from "../../io/http/status-report.ts";
import { type Command, parseFlags, refusePositionals, type Terminal } from "../command.ts";
import { paint } from "../styled.ts";
import { openScreen } from "./screen.ts";
import { DEFAULT_STATUS, statusAddress } from "./status-address.ts";
import { watchStatus } from "./status-live.ts";
import { statusLines } from "./status-view.ts";

const FLAGS = {
  addr: { type: "string" },
  config: { type: "string", short: "c" },
  json: { type: "boolean" },
} as const;

const EXIT_INTERRUPTED = 130;

const HELP = `ut status [flags]

What a running node tells of itself: sessions with their lanes, queues, drops by reason, peers and their paths,
certificates. On a terminal it goes on until q or Ctrl-C; into a pipe or a file it is written once.

  --addr HOST:PORT   the node's status address (${DEFAULT_STATUS})
  --config FILE      the node's config: its metrics.listen_addr is asked
  --json             /api/status as it is, once

Keys: q quits, arrows, Page Up, Page Down, Home and End scroll. Colours stay away with NO_COLOR set.
The same in a browser: http://${DEFAULT_STATUS}/

Exit code: 0 it was told, 1 no node answers there, 130 interrupted.`;

/** `ut status`. Throws `io.connect` when no node answers. `open` is what tests replace. */
export function statusCommand(open: typeof openScreen): Command {
  return {
    name: "status",
    summary: "what a running node does: sessions, lanes, drops, peers, certificates",
    help: HELP,
    async run(argv, terminal) {
      const flags = parseFlags(argv, FLAGS);
      refusePositionals("ut status", flags);
      const address = statusAddress(flags, "addr");
      if (flags.values.json !== true && terminal.interactive) return watch(address, terminal, open);
      const report = await askStatus(address, terminal.signal, "--addr");
      terminal.out(flags.values.json === true ? JSON.stringify(report) : plainText(complete(report, address)));
      return 0;
    },
  };
}

export const status: Command = statusCommand(openScreen);

async function watch(address: string, terminal: Terminal, open: typeof openScreen): Promise<number> {
  const { NO_COLOR = "", TERM = "" } = process.env;
  const hasColour = NO_COLOR === "" && TERM !== "dumb";
  await watchStatus({ address, flag: "--addr", hasColour, signal: terminal.signal, openScreen: open });
  return terminal.signal.aborted ? EXIT_INTERRUPTED : 0;
}

/** Of a version that tells all that is shown. Throws `unsupported`. */
function complete(report: Partial<StatusReport>, address: string): StatusReport {
  if ("certificates" in report) return report as StatusReport;
  throw new UtError(
    "unsupported",
    `Cannot show the node at ${address}: its version, ${report.build?.version}, tells too little; see --json`,
  );
}

function plainText(report: StatusReport): string {
  const columns = Number.POSITIVE_INFINITY;
  return statusLines({ status: report, samples: undefined }, columns)
    .map((line) => paint(line, { columns, hasColour: false }))
    .join("\n");
}
