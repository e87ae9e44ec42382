import { errorMessage, UtError } from "../core/error.ts";
import { flushLog } from "../io/log.ts";
import { bench } from "./bench.ts";
import type { Command, Terminal } from "./command.ts";
import { config } from "./config.ts";
import { demo } from "./demo.ts";
import { pki } from "./pki.ts";
import { client, run, server } from "./run.ts";
import { version } from "./version.ts";

const COMMANDS: readonly Command[] = [client, server, demo, bench, pki, config, version];

/** Exit codes: 0 ok, 1 failed, 2 usage or config, 130 interrupted. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/** Run one command line and say with which code the process should end. Errors are printed, never thrown. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  const insisted = Promise.withResolvers<number>();
  // The first signal asks the command to finish what it does; the second one does not wait for it.
  const onSignal = () => (interrupt.signal.aborted ? insisted.resolve(EXIT_INTERRUPTED) : interrupt.abort());
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const terminal: Terminal = {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    interactive: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 100,
    signal: interrupt.signal,
  };
  try {
    return await Promise.race([dispatch(argv, terminal), insisted.promise]);
  } catch (error) {
    if (interrupt.signal.aborted && !(error instanceof UtError)) return EXIT_INTERRUPTED;
    // Config problems begin with file:line:column, which editors and terminals make clickable.
    const located = error instanceof UtError && /^config\.(syntax|invalid)$/.test(error.kind);
    terminal.err(`${located ? "" : "ut: "}${errorMessage(error)}`);
    if (!(error instanceof UtError)) terminal.err(error instanceof Error ? (error.stack ?? "") : "");
    return error instanceof UtError && /^(usage|config)\./.test(error.kind) ? EXIT_USAGE : EXIT_FAILED;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    await flushLog();
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === "help" || first === "--help" || first === "-h") {
    terminal.out(overview());
    return first === undefined ? EXIT_USAGE : 0;
  }
  if (first === "--version" || first === "-V") return version.run([], terminal);
  // `ut -config FILE`: the role stands in the file.
  const command = first.startsWith("-") ? run : COMMANDS.find((candidate) => candidate.name === first);
  if (command === undefined)
    throw new UtError("usage.unknown-command", `Unknown command "${first}"; ut --help lists them`);
  const args = command === run ? argv : rest;
  if (args.includes("--help") || args.includes("-h")) {
    terminal.out(command.help);
    return 0;
  }
  return command.run(args, terminal);
}

function overview(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  return [
    "ut carries UDP (WireGuard first of all) over parallel mutual-TLS TCP lanes.",
    "",
    "  ut -config FILE          run the role that the file names",
    ...COMMANDS.map((command) => `  ut ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    "ut COMMAND --help tells more. Start with: ut demo",
  ].join("\n");
}
