import { UtError } from "../../core/error.ts";
import { issueNode, makeCa } from "../../io/pki/pki.ts";
import { type CertificateInfo, describeCertificate } from "../../io/pki/pki-describe.ts";
import { DEFAULT_CA_DAYS, DEFAULT_NODE_DAYS } from "../../io/pki/pki-lifetime.ts";
import { PkiStore } from "../../io/pki/pki-store.ts";
import { formatTime } from "../../io/pki/pki-validity.ts";
import { type Command, type FlagSpec, type ParsedFlags, parseFlags, stringFlag, type Terminal } from "../command.ts";
import { type Call, daysFlag, describeEnd, describeOld, describeRole, inFiles, requiredCn } from "./pki-call.ts";
import { isOfCa } from "./pki-relations.ts";
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
  ut pki renew --cn NAME                 the same node for longer: same key, same hosts
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
  --json         show: for programs`;

const DIR: Record<string, FlagSpec> = { dir: { type: "string" } };
const NEW: Record<string, FlagSpec> = {
  ...DIR,
  cn: { type: "string" },
  days: { type: "string" },
  force: { type: "boolean" },
};

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

/**
 * `ut pki …` at a given time.
 *
 * @throws UtError `usage.*` for flags, and otherwise as the functions of `io/pki.ts` and `io/pki-store.ts` do
 */
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
  refuseStray(name, flags);
  try {
    return await subcommand.run({ flags, store: new PkiStore(stringFlag(flags, "dir")), terminal, now });
  } catch (cause) {
    // Every name and host came in by a flag, so a bad one is a wrong command line.
    if (!(cause instanceof UtError) || cause.kind !== "pki.bad-name") throw cause;
    throw new UtError("usage.bad-value", cause.message, { cause, details: cause.details });
  }
}

function refuseStray(subcommand: string | undefined, flags: ParsedFlags): void {
  const [stray] = flags.positionals;
  if (stray === undefined) return;
  const isLikelyName = subcommand !== "init" && flags.values.cn === undefined && flags.values.host === undefined;
  const advice = isLikelyName
    ? `a node is named with --cn ${stray}`
    : "a name is one word, and each host needs its own --host";
  throw new UtError("usage.bad-flag", `Cannot use the argument "${stray}": ${advice}`);
}

async function init({ flags, store, terminal, now }: Call): Promise<number> {
  const force = flags.values.force === true;
  const cn = stringFlag(flags, "cn");
  const ca = await makeCa({ now, days: daysFlag(flags) ?? DEFAULT_CA_DAYS, ...(cn !== undefined && { cn }) });
  const orphans = force ? await store.nodeNames() : [];
  await store.writeCa(ca, { force });
  const info = await describeCertificate(ca.cert);
  const next =
    orphans.length > 0
      ? orphans.map((node) => store.commandLine("renew", "--cn", node, "--force"))
      : [
          store.commandLine("issue", "--cn", "server", "--host", "NAME-OR-ADDRESS-THAT-CLIENTS-DIAL"),
          store.commandLine("issue", "--cn", "home"),
        ];
  terminal.out(`Made the CA "${info.subject}", valid until ${formatTime(info.notAfter)}
  ${store.caFiles.cert}   goes to every node
  ${store.caFiles.key}   stays here: who has it can pose as any node

Next, a certificate of this CA for each node:
${next.map((line) => `  ${line}`).join("\n")}`);
  return 0;
}

async function issue(call: Call): Promise<number> {
  const { flags, store, terminal, now } = call;
  const cn = requiredCn(flags, "add --cn NAME");
  const hosts = listFlag(flags, "host");
  const agent = flags.values.agent === true;
  const days = daysFlag(flags) ?? DEFAULT_NODE_DAYS;
  const files = store.nodeFiles(cn);
  const force = flags.values.force === true;
  if (!force) await store.refuseExisting(files);
  const ca = await store.readCa();
  const node = await inFiles(store.caFiles, () => issueNode(ca, { cn, hosts, agent, days, now }));
  const old = await replacedOf(ca.cert, await store.readCertificate(files));
  await store.writeNode(cn, node, { force });
  const info = await describeCertificate(node.cert);
  const role = hosts.length > 0 ? "server" : "client";
  terminal.out(`Issued "${cn}": ${describeRole(info)}, ${describeEnd(info, call, days)}
  ${files.cert}
  ${files.key}   private: whoever has it is "${cn}"${old === undefined ? "" : `\n  ${describeOld(old, now)}`}

Copy both and ${store.caFiles.cert} to that node, and name them in its config ("ut config example ${role}" prints one):
  tls:
    ca_cert: "/etc/ut/ca.pem"
    cert: "/etc/ut/${cn}.pem"
    key: "/etc/ut/${cn}.key"`);
  return 0;
}

async function show({ flags, store, terminal, now }: Call): Promise<number> {
  const cn = stringFlag(flags, "cn");
  return showPki({ store, terminal, now, json: flags.values.json === true, ...(cn !== undefined && { cn }) });
}

/** The certificate that --force replaces, if this CA issued it: another's is worth nothing any more. */
async function replacedOf(ca: string, old: string | undefined): Promise<CertificateInfo | undefined> {
  return old !== undefined && isOfCa(old, ca) ? describeCertificate(old) : undefined;
}

function listFlag(flags: ParsedFlags, name: string): string[] {
  return [flags.values[name] ?? []].flat().filter((value) => typeof value === "string");
}
