import { unanswered } from "../../io/http/ask-status.ts";
import { fetchNode } from "../../io/http/fetch-node.ts";
import { type Command, parseFlags, refusePositionals } from "../command.ts";
import { DEFAULT_STATUS, statusAddress } from "./status-address.ts";

const FLAGS = {
  config: { type: "string", short: "c" },
  addr: { type: "string" },
  ready: { type: "boolean" },
} as const;

const HELP = `ut health [flags]

Asks a running node whether it is well, for a container's health check: a container needs no shell and no curl for it.

  --config FILE      the node's config: its metrics.listen_addr is asked
  --addr HOST:PORT   ask this address (${DEFAULT_STATUS})
  --ready            also whether it can do its work: a client whose server cannot be reached is well, but not ready

Exit code: 0 it is, 1 it is not, or nobody answers, 130 interrupted.`;

/** A node whose event loop turns answers at once. */
const TIMEOUT_MS = 5_000;
const EXIT_FAILED = 1;

/** `ut health`: `/healthz` or `/readyz` as an exit code, with what they said. Throws `io.connect`. */
export const health: Command = {
  name: "health",
  summary: "whether a running node is well, as an exit code",
  help: HELP,
  async run(argv, terminal) {
    const flags = parseFlags(argv, FLAGS);
    refusePositionals("ut health", flags);
    const path = flags.values.ready === true ? "/readyz" : "/healthz";
    const url = `http://${statusAddress(flags, "addr")}${path}`;
    const signal = AbortSignal.any([terminal.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const [response, text] = await fetchNode(url, { signal })
      .then(async (answer) => [answer, (await answer.text()).trim()] as const)
      .catch((cause: unknown) => {
        throw terminal.signal.aborted ? cause : unanswered(url, "--addr", cause);
      });
    if (response.ok) terminal.out(text);
    else terminal.err(`${url}: ${response.status} ${text}`);
    return response.ok ? 0 : EXIT_FAILED;
  },
};
