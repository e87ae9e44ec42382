/**
 * The one error type for operations that fail: what was tried, with which value, and why.
 *
 * `kind` is a stable `area.problem` string shared by logs, metric labels and exit codes. Kinds are append-only:
 * renaming one breaks somebody's alert. Hostile bytes are never an error; they are a returned `{ ok: false, kind }`.
 */
export class UtError extends Error {
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UtError";
    this.kind = kind;
    this.details = options.details ?? {};
  }
}

/** Every kind that exists. `usage.*` and `config.*` end the process with 2, all others with 1. */
export type ErrorKind =
  | "usage.unknown-command"
  | "usage.bad-flag"
  | "usage.bad-value"
  | "config.unreadable"
  | "config.syntax"
  | "config.invalid"
  | "config.wrong-role"
  | "pki.bad-name"
  | "pki.exists"
  | "pki.missing"
  | "pki.unreadable"
  | "pki.mismatch"
  | "io.bind"
  | "io.resolve"
  | "io.connect"
  | "io.file"
  | "tls.credentials"
  | "tls.handshake"
  | "lane.closed"
  | "demo.failed"
  | "bench.failed"
  | "pki.expired"
  | "service.failed"
  | "wss.refused"
  | "proxy.refused"
  // Of the direct plane, named as net-mesh does: failures of an optimisation, never of connectivity.
  | "reflex-timeout"
  | "peer-not-reachable"
  | "transport"
  | "rendezvous-no-relay"
  | "rendezvous-rejected"
  | "punch-failed"
  | "port-map-unavailable"
  | "unsupported";

/** The message of anything thrown, for a log line or a terminal. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
