import { runNode } from "../app/node.ts";
import { loadConfig } from "../config/load.ts";
import { UtError } from "../core/error.ts";
import { type Command, parseFlags, stringFlag, type Terminal } from "./command.ts";

const FLAGS = { config: { type: "string", short: "c" } } as const;

/** `ut -config FILE`: whatever role the file names. */
export const run: Command = {
  name: "",
  summary: "run the role that the file names",
  help: `ut -config FILE

Run the role (client, server) that FILE names, until SIGTERM or SIGINT. Then what was accepted is delivered (for at most
2 s) and every lane gets a GOODBYE; a second signal ends at once. Logs are JSON lines on stdout. With nat.watch SIGHUP
reads nat.reflex_override from FILE again.

  -config, --config, -c FILE   YAML; ut config example prints one`,
  run: (argv, terminal) => runConfig(argv, terminal),
};

export const client: Command = roleCommand("client", "carry a local UDP port to a server");
export const server: Command = roleCommand("server", "end lanes and forward to the local WireGuard");

function roleCommand(role: "client" | "server", summary: string): Command {
  return {
    name: role,
    summary,
    help: `ut ${role} -config FILE

Like ut -config FILE, but refuses a file whose role is not ${role}.

  -config, --config, -c FILE   YAML; ut config example ${role} prints one`,
    run: (argv, terminal) => runConfig(argv, terminal, role),
  };
}

async function runConfig(argv: readonly string[], terminal: Terminal, role?: "client" | "server"): Promise<number> {
  const flags = parseFlags(argv, FLAGS);
  const path = stringFlag(flags, "config");
  if (path === undefined)
    throw new UtError("usage.bad-flag", "Missing -config FILE; ut config example prints a file to start from");
  const config = loadConfig(path);
  if (role !== undefined && !config.roles.includes(role))
    throw new UtError("config.wrong-role", `Cannot run ${path} as ${role}: its role is ${config.roles.join(", ")}`);
  await runNode(config, terminal.signal, (onReread) => onHangup(() => onReread(() => loadConfig(path))));
  return 0;
}

/** A node that has nothing to read again leaves SIGHUP alone, and ends with its terminal. */
function onHangup(listener: () => void): Disposable {
  process.on("SIGHUP", listener);
  return { [Symbol.dispose]: () => void process.off("SIGHUP", listener) };
}
