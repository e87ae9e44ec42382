import { formatAddress } from "../config/address.ts";
import { isPeerRole } from "../config/roles.ts";
import type { Config } from "../config/schema.ts";
import { TraversalStats } from "../core/nat/traversal-stats.ts";
import type { TraversalStatus } from "../core/nat/traversal-status.ts";
import { ipScope } from "../core/net/ip.ts";
import type { NodeStatus } from "../core/tunnel/status.ts";
import { buildInfo } from "../io/build-info.ts";
import { serveHttp } from "../io/http/http.ts";
import { createLog, type Log } from "../io/log/log.ts";
import { createMetrics } from "../io/metrics/metrics.ts";
import { type Credentials, loadCredentials } from "../io/pki/credentials.ts";
import { openSupervisor } from "../io/system/supervisor.ts";
import { unlessAborted } from "../io/unless-aborted.ts";
import { type NatWatch, startNatWatch } from "./nat/nat-watch.ts";
import { Agent } from "./peers/agent.ts";
import { AgentServices } from "./peers/agent-services.ts";
import { PeerPlane } from "./peers/peer-plane.ts";
import { startRelay } from "./peers/relay.ts";
import type { NodeIdentity, Role, RoleContext } from "./role.ts";
import { certificateNeeds } from "./settings.ts";
import type { startSocks } from "./socks/socks.ts";
import { startClient } from "./tunnel/client.ts";
import { certificateStatus, SeenCertificates } from "./tunnel/seen-certificates.ts";
import { startServer } from "./tunnel/server.ts";
import { Uplink } from "./tunnel/uplink.ts";

/** How long SIGTERM may take to send what waits. */
export const DRAIN_MS = 2_000;

const EXPOSED =
  "anybody who reaches this address sees names, addresses and traffic figures of this node: let a firewall choose who";

/** Calls `onReread` whenever the config is to be read again, until disposed of; `read` throws what is wrong with it. */
export type Rereads = (onReread: (read: () => Config) => void) => Disposable;

/**
 * One process: the roles of `config` over one certificate and one status address, until `signal` fires; then drained
 * and disposed of. Throws when something cannot start: credentials, ports.
 */
export async function runNode(config: Config, signal: AbortSignal, rereads: Rereads): Promise<void> {
  const log = createLog({ level: config.log.level, role: config.roles.join("+") });
  const identity = await loadIdentity(config, log);
  await using disposal = new AsyncDisposableStack();
  const stats = new TraversalStats();
  const seen = new SeenCertificates();
  const parts: Parts = { roles: [], watch: undefined, plane: undefined };
  const status = (): readonly NodeStatus[] => parts.roles.map((role) => role.status());
  const traversal = (): TraversalStatus => ({
    stats: stats.snapshot(),
    network: parts.watch?.status() ?? null,
    pipes: parts.plane?.explain() ?? [],
    plane: parts.plane?.status() ?? null,
  });
  const { per_client_cn: perClientCn, per_lane: perLane, listen_addr: listen, path: metricsPath } = config.metrics;
  const metrics = createMetrics({ status, traversal, build: buildInfo, perClientCn, perLane });
  const certificates = () => certificateStatus(identity, seen);
  const http = serveHttp({
    listen,
    metricsPath,
    metrics,
    status,
    traversal,
    certificates,
    build: buildInfo,
    log,
    signal,
  });
  disposal.use(http);
  if (!isLoopback(listen.host)) log.warn("status_exposed", { listen: formatAddress(listen), hint: EXPOSED });
  const contextOf = (role: string): RoleContext => ({
    log: createLog({ level: config.log.level, role }),
    node: `ut ${buildInfo.version}`,
    handshakeDone(clientCn, ms, { peerCn, peerNotAfter }) {
      metrics.observeHandshake(clientCn, ms / 1_000);
      if (peerNotAfter !== undefined) seen.saw(peerCn, peerNotAfter);
    },
  });
  const uplink = openUplink(config, identity, contextOf);
  if (uplink !== undefined) disposal.use(uplink);
  for (const start of [startTunnelRoles, startPeerRoles])
    await start({ config, identity, log, stats, seen, uplink, contextOf, parts, disposal });
  logStart(log, config, identity, parts.roles, http.port);
  const supervisor = disposal.use(openSupervisor(log));
  supervisor.ready(parts.roles.map(describe).join(", "));
  const { watch } = parts;
  if (watch !== undefined) disposal.use(rereads((read) => supervisor.reloading(() => reread(read, watch, log))));

  await aborted(signal);
  supervisor.stopping();
  log.info("draining", { at_most_ms: DRAIN_MS });
  const deadline = AbortSignal.timeout(DRAIN_MS);
  await drain(parts, uplink, deadline);
  log.info("stopped", { drained: !deadline.aborted });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || ipScope(host) === "loopback";
}

async function drain({ roles, watch, plane }: Parts, uplink: Uplink | undefined, deadline: AbortSignal): Promise<void> {
  // Peers are told over the pipes, and these over the lanes, that go next.
  await unlessAborted(Promise.all(roles.map((role) => role.leave?.())), deadline);
  plane?.end();
  const unwatched = unlessAborted(Promise.resolve(watch?.[Symbol.asyncDispose]()), deadline);
  await Promise.all([...roles.map((role) => role.drain(deadline)), unwatched]);
  await uplink?.drain(deadline);
}

/** What a process is made of as it starts, and what its status is asked of. */
interface Parts {
  readonly roles: Role[];
  watch: NatWatch | undefined;
  plane: PeerPlane | undefined;
}

interface Start {
  readonly config: Config;
  readonly identity: NodeIdentity;
  readonly log: Log;
  readonly stats: TraversalStats;
  readonly seen: SeenCertificates;
  readonly uplink: Uplink | undefined;
  readonly contextOf: (role: string) => RoleContext;
  readonly parts: Parts;
  readonly disposal: AsyncDisposableStack;
}

async function loadIdentity(config: Config, log: Log): Promise<Credentials> {
  const { ca_cert, cert, key } = config.tls;
  const credentials = await loadCredentials({ ca: ca_cert, cert, key }, { needs: certificateNeeds(config) });
  for (const { cause, remedy } of credentials.warnings)
    log.warn("certificate_warning", { detail: `${cause}: see "${remedy}"` });
  return credentials;
}

/** One session of lanes for all roles that go to a server. */
function openUplink(config: Config, identity: NodeIdentity, contextOf: Start["contextOf"]): Uplink | undefined {
  const users = config.roles.filter((role) => role !== "server");
  return users.length === 0 ? undefined : new Uplink(config, identity, contextOf(users.join("+")));
}

async function startTunnelRoles({ config, identity, uplink, contextOf, parts, disposal }: Start): Promise<void> {
  for (const role of config.roles) {
    if (isPeerRole(role)) continue;
    const context = contextOf(role);
    const started =
      role === "client" ? startClient(config, identity, context, uplink) : startServer(config, identity, context);
    parts.roles.push(disposal.use(await started));
  }
}

/** And what they need beside the lanes, or the node without them was told to look at: its network. */
async function startPeerRoles(start: Start): Promise<void> {
  const { config, identity, log, stats, seen, uplink, contextOf, parts, disposal } = start;
  const roles = config.roles.filter(isPeerRole);
  if (roles.length > 0 || config.nat.watch) parts.watch = await watchNetwork(config, log, stats);
  if (parts.watch !== undefined) disposal.use(parts.watch);
  if (roles.length === 0 || uplink === undefined) return;
  const context = contextOf(roles.join("+"));
  const services = await openServices(start);
  const plane: PeerPlane = disposal.use(
    new PeerPlane({
      config,
      identity,
      stats,
      uplink,
      log: context.log,
      watch: parts.watch,
      node: context.node,
      authorise: (cn, service) => services.authorise(cn, service),
      accept: (pipe, service, peer) => services.accept(plane, pipe, service, peer),
      certificateSeen: (cn, notAfter) => seen.saw(cn, notAfter),
    }),
  );
  parts.plane = plane;
  // The lanes are told of once: by the client role, else by the first of these.
  let teller = config.roles.includes("client") ? undefined : uplink;
  for (const role of roles) {
    const started =
      role === "agent"
        ? new Agent(identity, plane, services, teller)
        : role === "relay"
          ? await startRelay(config.relay, identity, plane, teller, contextOf("relay").log)
          : await loadSocks(config.socks, identity, plane, teller, contextOf("socks").log);
    parts.roles.push(disposal.use(started));
    teller = undefined;
  }
}

/** What an agent serves; nothing where this node is none. */
async function openServices({ config, identity, contextOf, parts }: Start): Promise<AgentServices> {
  const { log } = contextOf("agent");
  if (!config.roles.includes("agent")) return new AgentServices([], log);
  const { udp, socks: service } = config.services;
  if (service.allow.length === 0) return new AgentServices(udp, log);
  const reflexAddress = () => parts.watch?.status().reflex?.endpoint.address;
  // As in loadSocks.
  const { openSocksAgent } = await import("./socks/socks-agent.ts");
  return new AgentServices(udp, log, await openSocksAgent({ service, identity, reflexAddress, log }));
}

/** Whoever has no use for QUIC loads none: Bun warns on stderr that it is experimental, and it takes memory. */
async function loadSocks(...options: Parameters<typeof startSocks>): Promise<Role> {
  return await (await import("./socks/socks.ts")).startSocks(...options);
}

/** Traffic needs no part of it: a socket that cannot be had is a warning, and everything goes through the server. */
async function watchNetwork(config: Config, log: Log, stats: TraversalStats): Promise<NatWatch | undefined> {
  try {
    return await startNatWatch({ config, log, stats });
  } catch (error) {
    log.warn("nat_watch_fail", { err: error });
    return undefined;
  }
}

/** A running node takes one thing from a changed file; a file that is wrong changes nothing. */
function reread(read: () => Config, watch: NatWatch, log: Log): void {
  try {
    watch.setReflexOverride(read().nat.reflex_override);
  } catch (error) {
    log.warn("config_reread_fail", { err: error });
  }
}

function describe(role: Role): string {
  const { role: name, listen } = role.status();
  return listen === "" ? name : `${name} on ${listen}`;
}

/** What one wants to know first when a log is all one has. */
function logStart(log: Log, config: Config, identity: NodeIdentity, roles: readonly Role[], metricsPort: number): void {
  const { version, commit, bun, platform } = buildInfo;
  log.info("start", {
    version,
    commit,
    bun,
    platform,
    pid: process.pid,
    cn: identity.cn,
    certificate_not_after: identity.notAfter.toISOString(),
    listen: roles.flatMap((role) => role.status().listen || []),
    stun: roles.flatMap((role) => role.status().stun?.listen ?? []),
    server_addr: config.roles.some((role) => role !== "server") ? config.tcp.server_addr : undefined,
    wg_udp_addr: config.roles.includes("server") ? config.udp.wg_udp_addr : undefined,
    transport: config.tcp.transport,
    proxy: config.tcp.proxy === undefined ? undefined : formatAddress(config.tcp.proxy),
    lanes: config.tcp.lanes,
    congestion: config.tcp.congestion,
    reorder_ms: config.tcp.reorder_ms,
    services: config.roles.includes("agent") ? config.services.udp.map(({ name }) => name) : undefined,
    metrics: { ...config.metrics.listen_addr, port: metricsPort },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
