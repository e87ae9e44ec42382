import type { CertificateStatus } from "../../core/certificate-status.ts";
import type { TraversalStatus } from "../../core/nat/traversal-status.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import {
  DELAY_BUCKETS_MS,
  type DelayHistogram,
  type DirectionCounters,
  type TunnelCounters,
} from "../../core/tunnel/counters.ts";
import type { LaneRate, LaneRates } from "../../core/tunnel/lane-rates.ts";
import type { LaneStatus, NodeStatus, SessionStatus } from "../../core/tunnel/status.ts";
import type { BuildInfo } from "../build-info.ts";

/** The JSON of `/api/status`: read by `ut status` and the status page. Fields are only ever added. */
export interface StatusReport {
  readonly build: BuildInfo;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  /** One for each reason not to be ready; empty when ready. */
  readonly notReady: readonly string[];
  readonly roles: readonly RoleReport[];
  readonly traversal: TraversalReport;
  readonly certificates: CertificateStatus;
}

/** `NodeStatus` with its maps as objects, and with the speeds of lanes. */
export interface RoleReport extends Omit<NodeStatus, "clients" | "tlsHandshakeFailures" | "sessions"> {
  readonly sessions: readonly SessionReport[];
  readonly clients: Readonly<Record<string, ClientReport>>;
  readonly tlsHandshakeFailures: Readonly<Record<string, number>>;
}

export interface SessionReport extends Omit<SessionStatus, "lanes"> {
  readonly lanes: readonly LaneReport[];
}

export type LaneReport = LaneStatus & LaneRate;

/** `TraversalStatus` with its endpoints as text, as all addresses are here; what is unknown is null. */
export type TraversalReport = WithTextEndpoints<TraversalStatus>;

type WithTextEndpoints<T> = T extends Endpoint
  ? string
  : T extends undefined
    ? null
    : T extends object
      ? { readonly [K in keyof T]: WithTextEndpoints<T[K]> }
      : T;

/** `TunnelCounters` of one client CN. */
export interface ClientReport {
  readonly up: DirectionCounters;
  readonly down: DirectionCounters;
  readonly channels: TunnelCounters["channels"];
  readonly queueDelay: DelayReport;
  readonly frameErrors: Readonly<Record<string, number>>;
  readonly laneReconnects: number;
  readonly congestionSwitches: number;
  readonly resequencedPackets: number;
  readonly reorderTimeouts: number;
}

/** `buckets` has one entry more than `boundsMs`, for what is beyond all bounds. Not cumulative. */
export interface DelayReport {
  readonly count: number;
  readonly sumMs: number;
  readonly boundsMs: readonly number[];
  readonly buckets: readonly number[];
}

export interface Readiness {
  readonly ready: boolean;
  readonly notReady: readonly string[];
}

/** Ready when every role is. A process without roles yet is still starting. */
export function readiness(nodes: readonly NodeStatus[], shuttingDown: boolean): Readiness {
  const notReady = nodes
    .filter((node) => !node.ready)
    .map((node) => `${node.role}: ${node.notReadyReason ?? "not ready"}`);
  if (nodes.length === 0) notReady.push("starting");
  if (shuttingDown) notReady.push("shutting down");
  return { ready: notReady.length === 0, notReady };
}

/** What a report is made of. */
export interface StatusSource {
  readonly build: BuildInfo;
  readonly nodes: readonly NodeStatus[];
  readonly rates: LaneRates;
  readonly traversal: TraversalStatus;
  readonly certificates: CertificateStatus;
  readonly isShuttingDown: boolean;
}

/** What `/api/status` says. */
export function statusReport({
  build,
  nodes,
  rates,
  traversal,
  certificates,
  isShuttingDown,
}: StatusSource): StatusReport {
  const uptimeSeconds = process.uptime();
  return {
    build,
    pid: process.pid,
    startedAt: new Date(Date.now() - uptimeSeconds * 1000).toISOString(),
    uptimeSeconds,
    ...readiness(nodes, isShuttingDown),
    roles: nodes.map((node) => roleReport(node, rates)),
    traversal: withTextEndpoints(traversal),
    certificates,
  };
}

function roleReport(node: NodeStatus, rates: LaneRates): RoleReport {
  return {
    ...node,
    sessions: node.sessions.map((session) => ({
      ...session,
      lanes: session.lanes.map((lane) => ({ ...lane, ...rates.of(session.sessionId, lane) })),
    })),
    clients: plain(node.clients, clientReport),
    tlsHandshakeFailures: plain(node.tlsHandshakeFailures, (count) => count),
  };
}

function clientReport(counters: TunnelCounters): ClientReport {
  return {
    ...counters,
    queueDelay: delayReport(counters.queueDelay),
    frameErrors: plain(counters.frameErrors, (count) => count),
  };
}

function delayReport({ count, sumMs, buckets }: DelayHistogram): DelayReport {
  return { count, sumMs, boundsMs: DELAY_BUCKETS_MS, buckets: [...buckets] };
}

/** `Object.fromEntries` defines each key, so that a CN `__proto__` is a key like any other. */
function plain<Value, Plain>(
  map: ReadonlyMap<string, Value>,
  convert: (value: Value) => Plain,
): Readonly<Record<string, Plain>> {
  return Object.fromEntries([...map].map(([key, value]) => [key, convert(value)]));
}

function withTextEndpoints<T>(value: T): WithTextEndpoints<T> {
  return convert(value) as WithTextEndpoints<T>;

  function convert(part: unknown): unknown {
    if (part === undefined || part === null) return null;
    if (Array.isArray(part)) return part.map(convert);
    if (typeof part !== "object") return part;
    if (isEndpoint(part)) return formatEndpoint(part);
    return Object.fromEntries(Object.entries(part).map(([key, child]) => [key, convert(child)]));
  }
}

function isEndpoint(value: object): value is Endpoint {
  return "address" in value && "port" in value && Object.keys(value).length === 2;
}
