import type { NodeIdentity, Role, RoleContext } from "../../../src/app/role.ts";
import { startClient } from "../../../src/app/tunnel/client.ts";
import { type ServerRole, startServer } from "../../../src/app/tunnel/server.ts";
import { Uplink } from "../../../src/app/tunnel/uplink.ts";
import { parseConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/schema.ts";
import type { ChannelDatagram } from "../../../src/core/tunnel/channels.ts";
import type { TunnelCounters } from "../../../src/core/tunnel/counters.ts";
import type { SessionStatus } from "../../../src/core/tunnel/status.ts";
import { serverIdentity } from "./identities.ts";
import { Logbook } from "./logbook.ts";
import { until } from "./until.ts";

/** What differs from the defaults. Values that no file could have, such as half a second, are fine here. */
export interface Settings {
  readonly tcp?: Partial<Config["tcp"]>;
  readonly udp?: Partial<Config["udp"]>;
  readonly queue?: Partial<Config["queue"]>;
  readonly tls?: Partial<Config["tls"]>;
  readonly server?: Partial<Config["server"]>;
}

const TLS = { ca_cert: "unused", cert: "unused", key: "unused" };
// STUN has fixed ports by default, and tests run side by side.
const SERVER = { stun: { listen: [] } };
const DEFAULTS = parseConfig(JSON.stringify({ role: "server", tls: TLS, server: SERVER }), "defaults");

function configOf(settings: Settings): Config {
  return {
    ...DEFAULTS,
    tcp: { ...DEFAULTS.tcp, ...settings.tcp },
    udp: { ...DEFAULTS.udp, ...settings.udp },
    queue: { ...DEFAULTS.queue, ...settings.queue },
    tls: { ...DEFAULTS.tls, ...settings.tls },
    server: { ...DEFAULTS.server, ...settings.server },
  };
}

/** A running role and what it says. */
export interface TestNode<R extends Role = Role> extends AsyncDisposable {
  readonly role: R;
  readonly port: number;
  readonly logbook: Logbook;
  /** Successful handshakes, by peer. */
  readonly handshakes: string[];
  /** Counters of one client CN; they must exist. */
  counters(cn: string): TunnelCounters;
  /** The same, as soon as they do. */
  known(cn: string): Promise<TunnelCounters>;
  session(cn: string): SessionStatus | undefined;
}

export async function testServer(
  wgPort: number,
  settings: Settings = {},
  host = "127.0.0.1",
): Promise<TestNode<ServerRole>> {
  const config = configOf({
    ...settings,
    tcp: { listen_addr: { host, port: 0 }, ...settings.tcp },
    udp: { wg_udp_addr: { host: "127.0.0.1", port: wgPort }, ...settings.udp },
  });
  return startNode("server", (context) => startServer(config, serverIdentity, context));
}

export async function testClient(
  serverPort: number,
  who: NodeIdentity,
  settings: Settings & Pick<RoleContext, "resolve"> = {},
): Promise<TestNode> {
  const config = configOf({
    ...settings,
    tcp: { server_addr: [{ host: "127.0.0.1", port: serverPort }], ...settings.tcp },
    udp: { listen_addr: { host: "127.0.0.1", port: 0 }, ...settings.udp },
  });
  const { resolve } = settings;
  return startNode("client", (context) => startClient(config, who, resolve ? { ...context, resolve } : context));
}

/** Lanes to the server without a role, for their channels. */
export interface TestUplink extends AsyncDisposable {
  readonly uplink: Uplink;
  readonly logbook: Logbook;
  /** What came, in order. */
  readonly received: ChannelDatagram[];
}

export function testUplink(serverPort: number, who: NodeIdentity, settings: Settings = {}): TestUplink {
  const config = configOf({
    ...settings,
    tcp: { server_addr: [{ host: "127.0.0.1", port: serverPort }], ...settings.tcp },
  });
  const logbook = new Logbook();
  const uplink = new Uplink(config, who, { log: logbook.log("peer"), node: "ut test", handshakeDone: () => {} });
  const received: ChannelDatagram[] = [];
  uplink.onChannel = (channel, datagram) => received.push({ channel, datagram: datagram.slice() });
  return { uplink, logbook, received, [Symbol.asyncDispose]: () => uplink[Symbol.asyncDispose]() };
}

/** End a node as SIGTERM does. */
export async function stop(node: TestNode, withinMs = 2_000): Promise<void> {
  await node.role.drain(AbortSignal.timeout(withinMs));
  await node[Symbol.asyncDispose]();
}

export async function lanesUp(node: TestNode, cn: string, lanes: number): Promise<void> {
  await until(`${lanes} lanes of ${cn}`, () => node.session(cn)?.lanes.length === lanes);
}

async function startNode<R extends Role>(
  name: string,
  start: (context: RoleContext) => Promise<R>,
): Promise<TestNode<R>> {
  const logbook = new Logbook();
  const handshakes: string[] = [];
  const role = await start({
    log: logbook.log(name),
    node: "ut test",
    handshakeDone: (cn) => handshakes.push(cn),
  });
  const counters = (cn: string) => {
    const found = role.status().clients.get(cn);
    if (found === undefined) throw new Error(`${name} has no counters of ${cn}`);
    return found;
  };
  return {
    role,
    port: role.port,
    logbook,
    handshakes,
    counters,
    async known(cn) {
      await until(`${name} to know ${cn}`, () => role.status().clients.has(cn));
      return counters(cn);
    },
    session: (cn) => role.status().sessions.find((session) => session.clientCn === cn),
    [Symbol.asyncDispose]: () => role[Symbol.asyncDispose](),
  };
}
