import type { Config } from "../config/schema.ts";
import { TraversalStats } from "../core/nat/traversal-stats.ts";
import type { TraversalStatus } from "../core/nat/traversal-status.ts";
import type { NodeStatus } from "../core/tunnel/status.ts";
import { buildInfo } from "../io/build-info.ts";
import { loadCredentials } from "../io/credentials.ts";
import { serveHttp } from "../io/http.ts";
import { createLog, type Log } from "../io/log.ts";
import { createMetrics } from "../io/metrics.ts";
import type { Usage } from "../io/pki.ts";
import { unlessAborted } from "../io/unless-aborted.ts";
import { startClient } from "./client.ts";
import { type NatWatch, startNatWatch } from "./nat-watch.ts";
import type { NodeIdentity, Role, RoleContext } from "./role.ts";
import { startServer } from "./server.ts";

/** How long SIGTERM may take to send what waits. */
export const DRAIN_MS = 2_000;

/** Calls `onReread` whenever the config is to be read again, until disposed of; `read` throws what is wrong with it. */
export type Rereads = (onReread: (read: () => Config) => void) => Disposable;

/**
 * One process: the roles of `config` over one certificate and one status address, until `signal` fires; then drained
 * and disposed of. Throws when something cannot start: credentials, ports.
 */
export async function runNode(config: Config, signal: AbortSignal, rereads: Rereads): Promise<void> {
  const log = createLog({ level: config.log.level, role: config.roles.join("+") });
  const identity = await loadIdentity(config, log);
  const roles: Role[] = [];
  await using disposal = new AsyncDisposableStack();
  const status = (): readonly NodeStatus[] => roles.map((role) => role.status());
  const stats = new TraversalStats();
  let watch: NatWatch | undefined;
  const traversal = (): TraversalStatus => ({ stats: stats.snapshot(), network: watch?.status() ?? null, pipes: [] });
  const { per_client_cn: perClientCn, per_lane: perLane, listen_addr: listen, path: metricsPath } = config.metrics;
  const metrics = createMetrics({ status, traversal, build: buildInfo, perClientCn, perLane });
  disposal.use(serveHttp({ listen, metricsPath, metrics, status, traversal, build: buildInfo, log, signal }));
  for (const role of config.roles) {
    const context: RoleContext = {
      log: createLog({ level: config.log.level, role }),
      node: `ut ${buildInfo.version}`,
      handshakeDone: (clientCn, ms) => metrics.observeHandshake(clientCn, ms / 1_000),
    };
    const start = role === "client" ? startClient : startServer;
    roles.push(disposal.use(await start(config, identity, context)));
  }
  logStart(log, config, identity, roles);
  watch = disposal.use(await watchNetwork(config, log, stats));
  if (watch !== undefined) disposal.use(rereads((read) => reread(read, watch, log)));

  await aborted(signal);
  log.info("draining", { at_most_ms: DRAIN_MS });
  const deadline = AbortSignal.timeout(DRAIN_MS);
  const unwatched = unlessAborted(Promise.resolve(watch?.[Symbol.asyncDispose]()), deadline);
  await Promise.all([...roles.map((role) => role.drain(deadline)), unwatched]);
  log.info("stopped", { drained: !deadline.aborted });
}

async function loadIdentity(config: Config, log: Log): Promise<NodeIdentity> {
  const needs = config.roles.map((role): Usage => (role === "client" ? "clientAuth" : "serverAuth"));
  const { ca_cert, cert, key } = config.tls;
  const credentials = await loadCredentials({ ca: ca_cert, cert, key }, { needs });
  for (const warning of credentials.warnings) log.warn("certificate_warning", { detail: warning });
  return credentials;
}

/** The tunnel needs no part of it: a socket that cannot be had is a warning. */
async function watchNetwork(config: Config, log: Log, stats: TraversalStats): Promise<NatWatch | undefined> {
  if (!config.nat.watch) return undefined;
  try {
    return await startNatWatch({ config, log, stats });
  } catch (error) {
    log.warn("nat_watch_fail", { err: error });
    return undefined;
  }
}

/** A running node takes one thing from a changed file; a file that is wrong changes nothing. */
function reread(read: () => Config, watch: NatWatch | undefined, log: Log): void {
  try {
    watch?.setReflexOverride(read().nat.reflex_override);
  } catch (error) {
    log.warn("config_reread_fail", { err: error });
  }
}

/** What one wants to know first when a log is all one has. */
function logStart(log: Log, config: Config, identity: NodeIdentity, roles: readonly Role[]): void {
  const { version, commit, bun, platform } = buildInfo;
  log.info("start", {
    version,
    commit,
    bun,
    platform,
    pid: process.pid,
    cn: identity.cn,
    certificate_not_after: identity.notAfter.toISOString(),
    listen: roles.map((role) => role.status().listen),
    stun: roles.flatMap((role) => role.status().stun?.listen ?? []),
    server_addr: config.roles.includes("client") ? config.tcp.server_addr : undefined,
    wg_udp_addr: config.roles.includes("server") ? config.udp.wg_udp_addr : undefined,
    lanes: config.tcp.lanes,
    congestion: config.tcp.congestion,
    reorder_ms: config.tcp.reorder_ms,
    metrics: config.metrics.listen_addr,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
