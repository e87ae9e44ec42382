import { errorMessage, UtError } from "../../core/error.ts";
import { fetchNode } from "./fetch-node.ts";
import type { StatusReport } from "./status-report.ts";

/** A node on the same machine answers at once, or is in trouble. */
const TIMEOUT_MS = 5_000;

/**
 * What the node at `host:port` says of itself: `/api/status`. Throws `io.connect` when nobody answers, or something
 * that is not `ut`; `flag` is how the command at hand is told another address. The answer may be of another version of
 * it, in which fields are missing.
 */
export async function askStatus(
  address: string,
  signal: AbortSignal,
  flag = "--status",
): Promise<Partial<StatusReport>> {
  const url = `http://${address}/api/status`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetchNode(url, { signal: limit }).catch((cause: unknown) => {
    throw unanswered(url, flag, cause);
  });
  const report: unknown = await response.json().catch(() => undefined);
  if (!response.ok || typeof report !== "object" || report === null || !("build" in report))
    throw noNode(url, flag, `the answer, ${response.status}, is not that of a node`);
  return report as Partial<StatusReport>;
}

/** Nobody answered. */
export function unanswered(url: string, flag: string, cause: unknown): UtError {
  return noNode(url, flag, whyUnanswered(cause), cause);
}

function whyUnanswered(cause: unknown): string {
  if (cause instanceof DOMException) return "no answer in time";
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return /^(?:ConnectionRefused|ECONNREFUSED)$/.test(code) ? "nobody listens there" : errorMessage(cause);
}

export function noNode(url: string, flag: string, why: string, cause?: unknown): UtError {
  return new UtError(
    "io.connect",
    `Cannot ask ${url}: ${why}
Next: does ut run there? Its log's "start" line has the port under "metrics"; --config FILE takes the address from its
config, ${flag} HOST:PORT is the address itself`,
    { cause, details: { url } },
  );
}
