import type { Address } from "../../config/address.ts";
import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";
import { UtError } from "../../core/error.ts";
import { buildInfo } from "../../io/build-info.ts";
import { type Examination, examineCredentials } from "../../io/credentials.ts";
import { type ResolvedAddress, resolveAll } from "../../io/happy-eyeballs.ts";
import type { Usage } from "../../io/pki.ts";
import { type WireGuardInterface, wireGuardInterfaces } from "../../io/wireguard.ts";
import { type RunningNode, runningNode } from "./running-node.ts";
import { type Talk, talkToServer } from "./server-talk.ts";

/** One entry of `tcp.server_addr`: its addresses, or why it has none. */
export interface NamedServer {
  readonly named: Address;
  readonly addresses: readonly ResolvedAddress[];
  readonly problem: UtError | undefined;
}

/** What came of one address of a server; undefined without certificates to talk with. */
export interface TalkedServer {
  readonly named: Address;
  readonly address: ResolvedAddress;
  readonly talk: Talk | undefined;
}

/** What several checks need, found out once, when the first of them asks. */
export class Scene {
  readonly config: Config;
  readonly configPath: string;
  readonly signal: AbortSignal;
  #credentials: Promise<Examination> | undefined;
  #node: Promise<RunningNode | undefined> | undefined;
  #wireGuards: Promise<readonly WireGuardInterface[] | undefined> | undefined;
  #named: Promise<readonly NamedServer[]> | undefined;
  #talked: Promise<readonly TalkedServer[]> | undefined;

  constructor(config: Config, configPath: string, signal: AbortSignal) {
    this.config = config;
    this.configPath = configPath;
    this.signal = signal;
  }

  /** True where the node dials a server: for all roles but that one. */
  get dials(): boolean {
    return this.config.roles.some((role) => role !== "server");
  }

  /** True where it is an end of pipes. */
  get isPeer(): boolean {
    return this.config.roles.some(isPeerRole);
  }

  get credentials(): Promise<Examination> {
    const { ca_cert: ca, cert, key } = this.config.tls;
    const needs = this.config.roles.map((role): Usage => (role === "server" ? "serverAuth" : "clientAuth"));
    this.#credentials ??= examineCredentials({ ca, cert, key }, { needs: [...new Set(needs)] });
    return this.#credentials;
  }

  /** The node of this config, where it runs on this machine. */
  get node(): Promise<RunningNode | undefined> {
    this.#node ??= runningNode(this.config, this.signal);
    return this.#node;
  }

  /** The WireGuard beside it; undefined where it cannot be asked. */
  get wireGuards(): Promise<readonly WireGuardInterface[] | undefined> {
    this.#wireGuards ??= wireGuardInterfaces();
    return this.#wireGuards;
  }

  get servers(): Promise<readonly NamedServer[]> {
    const named = this.dials ? (this.config.tcp.server_addr ?? []) : [];
    this.#named ??= Promise.all(named.map(resolveOne));
    return this.#named;
  }

  get talks(): Promise<readonly TalkedServer[]> {
    this.#talked ??= this.#talkToAll();
    return this.#talked;
  }

  async #talkToAll(): Promise<readonly TalkedServer[]> {
    const { credentials: identity } = await this.credentials;
    const { roles, relay, tls } = this.config;
    const peers = roles.includes("relay") ? relay.map(({ to }) => to) : [];
    const { signal } = this;
    const node = `ut ${buildInfo.version} check`;
    const all = (await this.servers).flatMap(({ named, addresses }) =>
      addresses.map((address) => ({ named, address })),
    );
    return Promise.all(
      all.map(async ({ named, address }): Promise<TalkedServer> => {
        if (identity === undefined) return { named, address, talk: undefined };
        const serverName = tls.server_name ?? named.host;
        const talk = talkToServer({ address, port: named.port, serverName, identity, peers, node, signal });
        return { named, address, talk: await talk };
      }),
    );
  }
}

async function resolveOne(named: Address): Promise<NamedServer> {
  try {
    return { named, addresses: await resolveAll(named.host), problem: undefined };
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return { named, addresses: [], problem: error };
  }
}
