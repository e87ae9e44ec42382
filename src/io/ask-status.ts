import { errorMessage, UtError } from "../core/error.ts";
import type { StatusReport } from "./status-report.ts";

/** A node on the same machine answers at once, or is in trouble. */
const TIMEOUT_MS = 5_000;

/**
 * What the node at `host:port` says of itself: `/api/status`. Throws `io.connect` when nobody answers, or something
 * that is not `ut`. The answer may be of another version of it, in which fields are missing.
 */
export async function askStatus(address: string, signal: AbortSignal): Promise<Partial<StatusReport>> {
  const url = `http://${address}/api/status`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetch(url, { redirect: "error", signal: limit }).catch((cause: unknown) => {
    throw failure(url, cause instanceof DOMException ? "no answer in time" : errorMessage(cause), cause);
  });
  const report: unknown = await response.json().catch(() => undefined);
  if (!response.ok || typeof report !== "object" || report === null || !("build" in report))
    throw failure(url, `the answer, ${response.status}, is not that of a node`);
  return report as Partial<StatusReport>;
}

function failure(url: string, why: string, cause?: unknown): UtError {
  return new UtError(
    "io.connect",
    `Cannot ask ${url}: ${why}
Next: does ut run there? Its log's "start" line has the port under "metrics"; --config FILE takes the address from its
config, --status HOST:PORT is the address itself`,
    { cause, details: { url } },
  );
}
