import type { Address } from "../../config/address.ts";
import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";
import { UtError } from "../../core/error.ts";
import { buildInfo } from "../../io/build-info.ts";
import { type Credentials, type Examination, examineCredentials } from "../../io/pki/credentials.ts";
import { type WireGuardInterface, wireGuardInterfaces } from "../../io/system/wireguard.ts";
import { type ResolvedAddress, resolveAll } from "../../io/tcp/happy-eyeballs.ts";
import { certificateNeeds } from "../settings.ts";
import { laneTarget } from "../tunnel/lane-target.ts";
import { type RunningNode, runningNode } from "./running-node.ts";
import { type ServerRoute, serverRoute } from "./server-route.ts";
import { type Talk, talkToServer } from "./server-talk.ts";

/** One entry of `tcp.server_addr`: the addresses to dial for it, or why there are none. */
export interface NamedServer {
  readonly named: Address;
  /** Whom TCP connects to: the server itself, or `tcp.proxy`, which finds the server. */
  readonly hop: Address;
  readonly addresses: readonly ResolvedAddress[];
  readonly problem: UtError | undefined;
}

/** What came of one address of a server. */
export interface TalkedServer extends Pick<NamedServer, "named" | "hop"> {
  readonly address: ResolvedAddress;
  readonly talk: Talk;
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
  #routes: Promise<readonly ServerRoute[]> | undefined;
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

  /** The agents that its pipes are to lead to, each once. */
  get peers(): readonly string[] {
    const { roles, relay, socks } = this.config;
    const relayed = roles.includes("relay") ? relay.map(({ to }) => to) : [];
    const proxied = roles.includes("socks") && socks.to !== undefined ? [socks.to] : [];
    return [...new Set([...relayed, ...proxied])];
  }

  get credentials(): Promise<Examination> {
    const { ca_cert: ca, cert, key } = this.config.tls;
    this.#credentials ??= examineCredentials({ ca, cert, key }, { needs: certificateNeeds(this.config) });
    return this.#credentials;
  }

  /** The node of this config, where it runs on this machine. */
  get node(): Promise<RunningNode | undefined> {
    this.#node ??= this.#findNode();
    return this.#node;
  }

  /** The WireGuard beside it; undefined where it cannot be asked. */
  get wireGuards(): Promise<readonly WireGuardInterface[] | undefined> {
    this.#wireGuards ??= wireGuardInterfaces();
    return this.#wireGuards;
  }

  /** What `tcp.server_addr` names, looked up. */
  get servers(): Promise<readonly NamedServer[]> {
    const { server_addr = [], proxy } = this.config.tcp;
    const dialled = this.dials ? server_addr : [];
    this.#named ??= Promise.all(dialled.map((named) => resolveOne(named, proxy ?? named)));
    return this.#named;
  }

  /** To each address of a server; none to one that cannot be reached at all. */
  get routes(): Promise<readonly ServerRoute[]> {
    this.#routes ??= this.#findRoutes();
    return this.#routes;
  }

  /** With every address of every server. */
  get talks(): Promise<readonly TalkedServer[]> {
    this.#talked ??= this.#talkToAll();
    return this.#talked;
  }

  async #findNode(): Promise<RunningNode | undefined> {
    const { credentials } = await this.credentials;
    return runningNode(this.config, credentials?.cn, this.signal);
  }

  async #findRoutes(): Promise<readonly ServerRoute[]> {
    const addresses = (await this.servers).flatMap((server) => server.addresses.map(({ address }) => address));
    const wireGuards = await this.wireGuards;
    const routes = [...new Set(addresses)].map((address) => serverRoute(address, wireGuards, this.config));
    return (await Promise.all(routes)).filter((route) => route !== undefined);
  }

  async #talkToAll(): Promise<readonly TalkedServer[]> {
    const { credentials } = await this.credentials;
    const routes = await this.routes;
    const all = (await this.servers).flatMap(({ named, hop, addresses }) =>
      addresses.map((address) => ({ named, hop, address })),
    );
    return Promise.all(
      all.map(async (server): Promise<TalkedServer> => {
        const isLoop = routes.some((route) => route.address === server.address.address && route.kind === "loop");
        if (isLoop) return { ...server, talk: { stage: "not-tried", because: "the way there is a loop" } };
        return { ...server, talk: await this.#talkTo(server.named, server.address, credentials) };
      }),
    );
  }

  async #talkTo(named: Address, address: ResolvedAddress, identity: Credentials | undefined): Promise<Talk> {
    if (identity === undefined) return { stage: "not-tried", because: "the certificates have to be right first" };
    const { tcp, tls } = this.config;
    const target = laneTarget(tcp, tls.server_name, named);
    const node = `ut ${buildInfo.version} check`;
    return talkToServer({ target, address, identity, peers: this.peers, node, signal: this.signal });
  }
}

async function resolveOne(named: Address, hop: Address): Promise<NamedServer> {
  try {
    return { named, hop, addresses: await resolveAll(hop.host), problem: undefined };
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return { named, hop, addresses: [], problem: error };
  }
}
