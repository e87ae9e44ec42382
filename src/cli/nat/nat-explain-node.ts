import { isPeerRole, type Role } from "../../config/roles.ts";
import { UtError } from "../../core/error.ts";
import type { StatusReport, TraversalReport } from "../../io/http/status-report.ts";

/** One pipe, as its node tells of it. */
export type ExplainedPipe = TraversalReport["pipes"][number];

/** The node whose pipes are explained, as far as they need it. */
export interface ExplainedNode {
  readonly cn: string;
  /** Where its lanes go; undefined while none is open. */
  readonly server: string | undefined;
  /** Its address outside, as far as it knows. */
  readonly outside: string | undefined;
  /** When its monotonic clock was 0, in milliseconds since 1970, and what it says now. */
  readonly startedAt: number;
  readonly now: number;
  /** Why it is not ready. */
  readonly notReady: readonly string[];
  readonly pipes: readonly ExplainedPipe[];
}

/**
 * What a status says of a node that has pipes. Throws `unsupported` for one that has none by its role, or that is of a
 * version that does not tell.
 */
export function explainedNode(report: Partial<StatusReport>, address: string): ExplainedNode {
  const { roles = [], traversal, startedAt = "", uptimeSeconds = 0, notReady = [] } = report;
  if (!roles.some(({ role }) => isPeerRole(role as Role)))
    throw new UtError(
      "unsupported",
      `Cannot explain a pipe of the node at ${address}: it is ${roles.map(({ role }) => role).join(" and ") || "starting"}, and only an agent or a relay has pipes to peers`,
    );
  if (traversal?.pipes === undefined)
    throw new UtError(
      "unsupported",
      `Cannot explain a pipe of the node at ${address}: its version does not tell of them`,
    );
  const lanes = roles.flatMap(({ role, sessions }) => (role === "server" ? [] : sessions.flatMap((one) => one.lanes)));
  const { network, pipes } = traversal;
  return {
    cn: roles[0]?.cn ?? "this node",
    server: lanes.find(({ state, remote }) => state === "open" && remote !== "")?.remote,
    outside: network?.reflex?.endpoint ?? network?.nat?.mapped ?? undefined,
    startedAt: Date.parse(startedAt),
    now: uptimeSeconds * 1_000,
    notReady,
    pipes,
  };
}
