import { UtError } from "../core/error.ts";
import { issueNode, makeCa } from "../io/pki.ts";
import { describeCertificate } from "../io/pki-describe.ts";
import { DEFAULT_CA_DAYS, DEFAULT_NODE_DAYS } from "../io/pki-lifetime.ts";
import { PkiStore } from "../io/pki-store.ts";
import { formatTime } from "../io/pki-validity.ts";
import { type Command, type FlagSpec, type ParsedFlags, parseFlags, stringFlag, type Terminal } from "./command.ts";
import { type Call, daysFlag, describeEnd, describeRole, inFiles, requiredCn } from "./pki-call.ts";
import { renew } from "./pki-renew.ts";
import { showPki } from "./pki-show.ts";

const HELP = `Usage: ut pki init|issue|show|renew [flags]

A private CA and the certificates of your nodes, in one folder:
ca.pem ca.key NAME.pem NAME.key (keys with mode 0600).

  ut pki init                            make the CA: once, on a machine you trust
  ut pki issue --cn NAME                 a node that dials (client)
  ut pki issue --cn NAME --host H ...    a node that is dialled (server)
  ut pki issue --cn NAME --agent         a node that offers services to peers
  ut pki show                            what is there, and how long it lasts
  ut pki renew --cn NAME                 the same node for longer, with the same key
  ut pki renew --ca                      the same CA for longer: its nodes stay valid

Flags:
  --dir DIR      folder of the CA (default ./pki)
  --cn NAME      the node's name, by which all others know it: 1 to 64 letters, digits, dots, hyphens
                 (init: the CA's own name; show: this node only)
  --host HOST    DNS name, IPv4 or IPv6 address that clients dial; once for each
  --agent        reachable by peers as NAME.ut.internal
  --days N       days until it ends, 1 to 36500 (CA ${DEFAULT_CA_DAYS}, nodes ${DEFAULT_NODE_DAYS}; a node ends with its CA at the latest)
  --new-key      renew: make a new private key, too
  --force        init, issue: replace what exists; renew: also what another CA has issued
  --json         show: for programs
`;

const DIR: Record<string, FlagSpec> = { dir: { type: "string" } };
const NEW: Record<string, FlagSpec> = {
  ...DIR,
  cn: { type: "string" },
  days: { type: "string" },
  force: { type: "boolean" },
};
const DEFAULT_DIR = "./pki";

interface Subcommand {
  readonly flags: Record<string, FlagSpec>;
  run(call: Call): Promise<number>;
}

const SUBCOMMANDS: Record<string, Subcommand> = {
  init: { flags: NEW, run: init },
  issue: { flags: { ...NEW, host: { type: "string", multiple: true }, agent: { type: "boolean" } }, run: issue },
  show: { flags: { ...DIR, cn: { type: "string" }, json: { type: "boolean" } }, run: show },
  renew: { flags: { ...NEW, ca: { type: "boolean" }, "new-key": { type: "boolean" } }, run: renew },
};

export const pki: Command = {
  name: "pki",
  summary: "make, renew and show the certificates of your nodes",
  help: HELP,
  run: (argv, terminal) => runPki(argv, terminal, new Date()),
};

/** `ut pki …` at a given time. @throws UtError as the functions of `io/pki.ts` and `io/pki-store.ts` do */
export async function runPki(argv: readonly string[], terminal: Terminal, now: Date): Promise<number> {
  const [name, ...rest] = argv;
  if (argv.includes("--help") || argv.includes("-h")) {
    terminal.out(HELP);
    return 0;
  }
  const subcommand = name === undefined || !Object.hasOwn(SUBCOMMANDS, name) ? undefined : SUBCOMMANDS[name];
  if (subcommand === undefined)
    throw new UtError(
      "usage.unknown-command",
      `Cannot run "ut pki${name === undefined ? "" : ` ${name}`}": expected one of ${Object.keys(SUBCOMMANDS).join(", ")} (see "ut pki --help")`,
    );
  const flags = parseFlags(rest, subcommand.flags);
  const [stray] = flags.positionals;
  if (stray !== undefined)
    throw new UtError("usage.bad-flag", `Cannot use the argument "${stray}": a node is named with --cn ${stray}`);
  return subcommand.run({ flags, store: new PkiStore(stringFlag(flags, "dir") ?? DEFAULT_DIR), terminal, now });
}

async function init({ flags, store, terminal, now }: Call): Promise<number> {
  const force = flags.values.force === true;
  const cn = stringFlag(flags, "cn");
  const ca = await makeCa({ now, days: daysFlag(flags) ?? DEFAULT_CA_DAYS, ...(cn !== undefined && { cn }) });
  const orphans = force ? await store.nodeNames() : [];
  await store.writeCa(ca, { force });
  const info = await describeCertificate(ca.cert);
  const dir = dirFlag(store);
  terminal.out(`Made the CA "${info.subject}", valid until ${formatTime(info.notAfter)}
  ${store.caFiles.cert}   goes to every node
  ${store.caFiles.key}   stays here: who has it can pose as any node
${orphans.map((node) => `  ${node} is of an older CA: ut pki renew${dir} --cn ${node} --force\n`).join("")}
Next, a certificate for each node:
  ut pki issue${dir} --cn server --host NAME-OR-ADDRESS-THAT-CLIENTS-DIAL
  ut pki issue${dir} --cn home
`);
  return 0;
}

async function issue({ flags, store, terminal, now }: Call): Promise<number> {
  const cn = requiredCn(flags, "issue");
  const hosts = listFlag(flags, "host");
  const agent = flags.values.agent === true;
  const days = daysFlag(flags) ?? DEFAULT_NODE_DAYS;
  const files = store.nodeFiles(cn);
  const force = flags.values.force === true;
  if (!force) await store.refuseExisting(files);
  const ca = await store.readCa();
  const node = await inFiles(store.caFiles, () => issueNode(ca, { cn, hosts, agent, days, now }));
  await store.writeNode(cn, node, { force });
  const info = await describeCertificate(node.cert);
  terminal.out(`Issued "${cn}": ${describeRole(info)}, ${describeEnd(info, now, days)}
  ${files.cert}
  ${files.key}   private: whoever has it is "${cn}"

Copy both and ${store.caFiles.cert} to that node, and name them in its config:
  tls:
    ca_cert: "/etc/ut/ca.pem"
    cert: "/etc/ut/${cn}.pem"
    key: "/etc/ut/${cn}.key"
`);
  return 0;
}

async function show({ flags, store, terminal, now }: Call): Promise<number> {
  const cn = stringFlag(flags, "cn");
  return showPki({ store, terminal, now, json: flags.values.json === true, ...(cn !== undefined && { cn }) });
}

function listFlag(flags: ParsedFlags, name: string): string[] {
  return [flags.values[name] ?? []].flat().filter((value) => typeof value === "string");
}

function dirFlag(store: PkiStore): string {
  return store.dir === DEFAULT_DIR ? "" : ` --dir ${shellWord(store.dir)}`;
}

/** Quoted where a shell would otherwise split or expand it. */
function shellWord(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
