import { runNode } from "../app/node.ts";
import { withHandedOver } from "../config/handed-over.ts";
import { loadConfig } from "../config/load.ts";
import { ANY_ROLE, type Role } from "../config/roles.ts";
import type { Config } from "../config/schema.ts";
import { UtError } from "../core/error.ts";
import { type Command, type FlagSpec, type ParsedFlags, parseFlags, stringFlag, type Terminal } from "./command.ts";
import { HARD_NAT_FLAGS, HARD_NAT_HELP, withHardNatFlags } from "./hard-nat-flags.ts";

/** A command line that runs what a file says. */
interface RunKind {
  /** The file must have it. */
  readonly role?: Role;
  /** Beside `-config`. */
  readonly flags?: Readonly<Record<string, FlagSpec>>;
  /** What those flags make of the file's config. */
  readonly override?: (config: Config, flags: ParsedFlags) => Config;
}

/** `ut -config FILE`: whatever role the file names. */
export const run: Command = {
  name: "",
  summary: "run the role that the file names",
  help: `ut -config FILE

Run the role (${ANY_ROLE}) that FILE names, until SIGTERM or SIGINT. Then what was accepted is
delivered (for at most 2 s) and every lane gets a GOODBYE; a second signal ends at once. Logs are JSON lines on stdout.
A node that watches its network (nat.watch, agent, relay, socks) reads nat.reflex_override from FILE again on SIGHUP.

  -config, --config, -c FILE   YAML; ut config example prints one
  --credentials DIR            take tls.ca_cert, tls.cert and tls.key from files of these names in DIR, those that
                               are there: for secrets that a service manager or a container hands over`,
  run: (argv, terminal) => runConfig(argv, terminal, {}),
};

export const client = roleCommand("client", "carry a local UDP port to a server");
export const server = roleCommand("server", "end lanes and forward to the local WireGuard");
export const agent = roleCommand("agent", "offer UDP services to other peers, by name");
const withHardNat = {
  flags: HARD_NAT_FLAGS,
  override: (config: Config, flags: ParsedFlags) => ({ ...config, hard_nat: withHardNatFlags(config.hard_nat, flags) }),
  help: HARD_NAT_HELP,
};
export const relay = roleCommand("relay", "local UDP ports that lead to services of an agent", withHardNat);
export const socks = roleCommand("socks", "a SOCKS5 and HTTP proxy that comes out at an agent", withHardNat);

function roleCommand(role: Role, summary: string, more: RunKind & { readonly help?: string } = {}): Command {
  const { help, ...kind } = more;
  return {
    name: role,
    summary,
    help: `ut ${role} -config FILE

Like ut -config FILE, but refuses a file whose role is not ${role}.

  -config, --config, -c FILE   YAML; ut config example ${role} prints one${help === undefined ? "" : `\n\nInstead of what FILE says under hard_nat:\n\n${help}`}`,
    run: (argv, terminal) => runConfig(argv, terminal, { ...kind, role }),
  };
}

async function runConfig(argv: readonly string[], terminal: Terminal, kind: RunKind): Promise<number> {
  const flags = parseFlags(argv, {
    config: { type: "string", short: "c" },
    credentials: { type: "string" },
    ...kind.flags,
  });
  const path = stringFlag(flags, "config");
  if (path === undefined)
    throw new UtError("usage.bad-flag", "Missing -config FILE; ut config example prints a file to start from");
  const folder = stringFlag(flags, "credentials");
  const read = () => loadConfig(path, kind.role);
  const config = folder === undefined ? read() : withHandedOver(read(), folder);
  if (kind.role !== undefined && !config.roles.includes(kind.role))
    throw new UtError(
      "config.wrong-role",
      `Cannot run ${path} as ${kind.role}: its role is ${config.roles.join(", ")}; "ut -config ${path}" runs what it says`,
    );
  const effective = kind.override?.(config, flags) ?? config;
  await runNode(effective, terminal.signal, (onReread) => onHangup(() => onReread(read)));
  return 0;
}

/** A node that has nothing to read again leaves SIGHUP alone, and ends with its terminal. */
function onHangup(listener: () => void): Disposable {
  process.on("SIGHUP", listener);
  return { [Symbol.dispose]: () => void process.off("SIGHUP", listener) };
}
