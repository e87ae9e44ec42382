import { nearest } from "../config/nearest.ts";
import { errorMessage, UtError } from "../core/error.ts";
import { flushLog } from "../io/log/log.ts";
import type { Command, Terminal } from "./command.ts";

/**
 * In the order of `ut --help`. A command is loaded when it is wanted: a node that runs for months carries no demo and
 * no CA with it (docs/performance.md "Memory").
 */
const COMMANDS = {
  client: async () => (await import("./run.ts")).client,
  server: async () => (await import("./run.ts")).server,
  agent: async () => (await import("./run.ts")).agent,
  relay: async () => (await import("./run.ts")).relay,
  socks: async () => (await import("./run.ts")).socks,
  status: async () => (await import("./status/status.ts")).status,
  demo: async () => (await import("./demo.ts")).demo,
  bench: async () => (await import("./bench.ts")).bench,
  check: async () => (await import("./check.ts")).check,
  pki: async () => (await import("./pki/pki.ts")).pki,
  config: async () => (await import("./config.ts")).config,
  nat: async () => (await import("./nat/nat.ts")).nat,
  nat4: async () => (await import("./nat/nat4.ts")).nat4,
  health: async () => (await import("./status/health.ts")).health,
  service: async () => (await import("./service.ts")).service,
  udpmon: async () => (await import("./udpmon/udpmon.ts")).udpmon,
  version: async () => (await import("./version.ts")).version,
} satisfies Record<string, () => Promise<Command>>;

const VERSION_FLAGS: readonly string[] = ["--version", "-V"];

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
    // A terminal that has not been told its size says 0.
    columns: process.stdout.columns || 100,
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
    terminal.out(await overview());
    return first === undefined ? EXIT_USAGE : 0;
  }
  // `ut -config FILE`: the role stands in the file.
  const bare = first.startsWith("-") && !VERSION_FLAGS.includes(first);
  const command = bare ? (await import("./run.ts")).run : await loadCommand(first);
  const args = bare ? argv : rest;
  if (args.includes("--help") || args.includes("-h")) {
    terminal.out(command.help);
    return 0;
  }
  return command.run(args, terminal);
}

async function loadCommand(word: string): Promise<Command> {
  const name = VERSION_FLAGS.includes(word) ? "version" : word;
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name as keyof typeof COMMANDS]();
  const near = nearest(word, Object.keys(COMMANDS));
  const hint = near === undefined ? "" : `; did you mean "${near}"`;
  throw new UtError("usage.unknown-command", `Unknown command "${word}"; ut --help lists them${hint}`);
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    "ut carries UDP (WireGuard first of all) over parallel mutual-TLS TCP lanes.",
    "",
    "  ut -config FILE          run the role that the file names",
    ...commands.map((command) => `  ut ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    "ut COMMAND --help tells more. Start with: ut demo",
  ].join("\n");
}
