import { LaneRates } from "../../../../src/core/tunnel/lane-rates.ts";
import type { NodeStatus } from "../../../../src/core/tunnel/status.ts";
import { type StatusReport, statusReport } from "../../../../src/io/http/status-report.ts";
import {
  busyCounters,
  certificateStatus,
  laneStatus,
  networkStatus,
  nodeStatus,
  pipeExplanation,
  sessionStatus,
  traversalStatus,
} from "../../io/node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };
const STARTED = "2026-01-31T12:00:00.000Z";

/** A server of one client, 90 s old: one lane carries 1 and 2 Mbit/s, one is stalled, one is down. */
export function busyNode(): NodeStatus {
  const ended = { times: 2, agoMs: 65_000, isAgreed: false, reason: "Connection lost: ECONNRESET" };
  return nodeStatus({
    clients: new Map([["home", busyCounters()]]),
    sessions: [
      sessionStatus({
        lanes: [laneStatus({ id: 0 }), laneStatus({ id: 1, state: "open", stalled: true, ended, tcp: undefined })],
        downLanes: [{ id: 2, state: "closed", retryInMs: null, ended: { ...ended, times: 1, agoMs: 3_000 } }],
      }),
    ],
  });
}

export function busyReport(some: Partial<StatusReport> = {}): StatusReport {
  const rates = new LaneRates();
  const still = laneStatus({ bytesIn: 0, bytesOut: 0 });
  rates.observe(0, [nodeStatus({ sessions: [sessionStatus({ lanes: [still] })] })]);
  const moved = laneStatus({ bytesIn: 125, bytesOut: 250 });
  rates.observe(1, [nodeStatus({ sessions: [sessionStatus({ lanes: [moved] })] })]);
  const report = statusReport({
    build,
    nodes: [busyNode()],
    rates,
    traversal: traversalStatus({ network: networkStatus(), pipes: [pipeExplanation({ verdict: "both-symmetric" })] }),
    certificates: certificateStatus(),
    isShuttingDown: false,
  });
  return { ...report, pid: 4711, startedAt: STARTED, uptimeSeconds: 90, ...some };
}
