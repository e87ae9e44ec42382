import { join } from "node:path";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

export interface MiniupnpdOptions {
  /** Interfaces of the router; `wan` and `lan` unless told. Its WAN address must be a public one. */
  readonly wan?: string;
  readonly lan?: string;
  /** Both on unless told; PCP comes with NAT-PMP. */
  readonly upnp?: boolean;
  readonly natPmp?: boolean;
  /** Describes itself as IGDv1, which has no AddAnyPortMapping. */
  readonly igd1?: boolean;
  /** Shortest lease that it grants, in seconds; 10 unless told. */
  readonly minLifetime?: number;
}

/** One rule that the router's kernel applies, whatever the daemon says. */
export interface KernelMapping {
  readonly protocol: "udp" | "tcp";
  readonly externalPort: number;
  readonly internalAddress: string;
  readonly internalPort: number;
}

/** Where the description of its UPnP device is. */
const UPNP_PORT = 5_000;

const PROTOCOLS = new Map([
  [6, "tcp"],
  [17, "udp"],
] as const);

/** Its own table, beside that of whatever NAT the router plays. */
const TABLE = `
  table inet miniupnpd {
    chain forward { type filter hook forward priority -5; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 99; jump postrouting_miniupnpd; }
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
  }`;

/**
 * miniupnpd, the daemon of most home routers, on a router of the lab: UPnP IGD (v2 unless told), NAT-PMP and PCP.
 * Hosts of 10.0.0.0/8 may map ports from 1024 up, each to itself only.
 */
export class Miniupnpd implements AsyncDisposable {
  readonly #router: Namespace;
  readonly #command: readonly string[];
  readonly #ready: RegExp;
  #job: Job | undefined;

  private constructor(router: Namespace, command: readonly string[], ready: RegExp) {
    this.#router = router;
    this.#command = command;
    this.#ready = ready;
  }

  static async start(lab: Lab, router: Namespace, options: MiniupnpdOptions = {}): Promise<Miniupnpd> {
    const folder = await lab.subfolder(`miniupnpd-${router.name}`);
    const config = join(folder, "miniupnpd.conf");
    await Bun.write(config, configOf(options));
    // In the foreground, which is also what makes it tell on stderr what it does.
    const command = ["miniupnpd", "-d", "-f", config, "-P", join(folder, "pid")];
    const lastToListen = options.natPmp === false ? /HTTP listening/ : /Listening for NAT-PMP/;
    const daemon = new Miniupnpd(router, command, lastToListen);
    await daemon.#start();
    return daemon;
  }

  /** What it last wrote, for a message. */
  get log(): string {
    return this.#job?.tail ?? "";
  }

  /** A gateway that went through a power cut: all its mappings are gone, and its epoch starts again. */
  async reboot(): Promise<void> {
    await this.cut();
    await this.#start();
  }

  /** Ends it as a power cut does: it tells nobody, and its mappings are gone. */
  async cut(): Promise<void> {
    await this.#job?.stop("SIGKILL");
    await this.#router.nft("delete table inet miniupnpd");
    this.#job = undefined;
  }

  /** The mappings that are in force, by external port. */
  async mappings(): Promise<KernelMapping[]> {
    const json = await this.#router.run(["nft", "-j", "list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd"]);
    const { nftables } = JSON.parse(json) as { nftables: { rule?: { expr: Expression[] } }[] };
    const mappings = nftables.flatMap(({ rule }) => (rule === undefined ? [] : [mappingOf(rule.expr)]));
    return mappings.sort((a, b) => a.externalPort - b.externalPort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#job !== undefined) await this.cut();
  }

  async #start(): Promise<void> {
    await this.#router.nft(TABLE);
    this.#job = this.#router.start("miniupnpd", this.#command);
    await this.#job.line(this.#ready);
  }
}

function configOf(options: MiniupnpdOptions): string {
  const { wan = "wan", lan = "lan", upnp = true, natPmp = true, igd1 = false, minLifetime = 10 } = options;
  const yes = (value: boolean) => (value ? "yes" : "no");
  return `
ext_ifname=${wan}
listening_ip=${lan}
http_port=${UPNP_PORT}
enable_upnp=${yes(upnp)}
enable_natpmp=${yes(natPmp)}
force_igd_desc_v1=${yes(igd1)}
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
min_lifetime=${minLifetime}
max_lifetime=86400
secure_mode=yes
system_uptime=no
notify_interval=30
uuid=ab04efce-b875-47e3-99ae-bb2125fb899f
allow 1024-65535 10.0.0.0/8 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`;
}

/** As `nft -j` tells it; only what miniupnpd writes into its prerouting chain. */
interface Expression {
  match?: { left: { payload?: { offset?: number; field?: string } }; right: number | string };
  dnat?: { addr: string; port: number };
}

function mappingOf(expressions: readonly Expression[]): KernelMapping {
  const compared = (what: { offset?: number; field?: string }) =>
    expressions.find(
      ({ match }) => match?.left.payload?.offset === what.offset && match?.left.payload?.field === what.field,
    )?.match?.right;
  // The protocol is told as the eight bits at offset 72 of the IP header.
  const protocol = PROTOCOLS.get(compared({ offset: 72 }) as 6 | 17);
  const externalPort = compared({ field: "dport" });
  const target = expressions.find(({ dnat }) => dnat !== undefined)?.dnat;
  if (protocol === undefined || typeof externalPort !== "number" || target === undefined)
    throw new Error(`Cannot read a rule of miniupnpd: ${JSON.stringify(expressions)}`);
  return { protocol, externalPort, internalAddress: target.addr, internalPort: target.port };
}
