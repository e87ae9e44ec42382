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
import { startClient } from "./client.ts";
import type { NodeIdentity, Role, RoleContext } from "./role.ts";
import { startServer } from "./server.ts";

/** How long SIGTERM may take to send what waits. */
export const DRAIN_MS = 2_000;

/**
 * One process: the roles of `config` over one certificate and one status address, until `signal` fires; then drained
 * and disposed of. Throws when something cannot start: credentials, ports.
 */
export async function runNode(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLog({ level: config.log.level, role: config.roles.join("+") });
  const identity = await loadIdentity(config, log);
  const roles: Role[] = [];
  await using disposal = new AsyncDisposableStack();
  const status = (): readonly NodeStatus[] => roles.map((role) => role.status());
  const stats = new TraversalStats();
  const traversal = (): TraversalStatus => ({ stats: stats.snapshot(), network: null });
  const metrics = createMetrics({
    status,
    traversal,
    build: buildInfo,
    perClientCn: config.metrics.per_client_cn,
    perLane: config.metrics.per_lane,
  });
  disposal.use(
    serveHttp({
      listen: config.metrics.listen_addr,
      metricsPath: config.metrics.path,
      metrics,
      status,
      traversal,
      build: buildInfo,
      log,
      signal,
    }),
  );
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

  await aborted(signal);
  log.info("draining", { at_most_ms: DRAIN_MS });
  const deadline = AbortSignal.timeout(DRAIN_MS);
  await Promise.all(roles.map((role) => role.drain(deadline)));
  log.info("stopped", { drained: !deadline.aborted });
}

async function loadIdentity(config: Config, log: Log): Promise<NodeIdentity> {
  const needs = config.roles.map((role): Usage => (role === "client" ? "clientAuth" : "serverAuth"));
  const { ca_cert, cert, key } = config.tls;
  const credentials = await loadCredentials({ ca: ca_cert, cert, key }, { needs });
  for (const warning of credentials.warnings) log.warn("certificate_warning", { detail: warning });
  return credentials;
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
