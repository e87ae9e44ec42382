import { errorMessage, UtError } from "../../core/error.ts";
import type { ResolvedAddress } from "../tcp/happy-eyeballs.ts";
import type { DialOptions } from "./tls-dial.ts";

/** What a dial that failed is told as: what was tried, why it failed, and what to do. */

export function connectError(options: DialOptions, cause: unknown): UtError {
  if (cause instanceof UtError) return cause;
  if (cause instanceof DOMException && cause.name === "AbortError") return givenUp();
  return refusal(options, { address: options.host, family: 0 }, cause);
}

export function refusal(options: DialOptions, { address }: ResolvedAddress, cause: unknown): UtError {
  const port = options.proxy?.port ?? options.port;
  const target = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const [what, remedy] =
    options.proxy === undefined
      ? [target, "check that the server runs and that its TCP port is reachable"]
      : [`the proxy at ${target}`, "check tcp.proxy, and that the proxy runs and is reachable"];
  return new UtError("io.connect", `Cannot connect to ${what}: ${reasonOf(cause)}; ${remedy}`, {
    cause,
    details: { address, port },
  });
}

/** Bun's message for each of them is "Failed to connect"; the system's own word is in the code. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return REASONS[code] ?? (code === "" ? errorMessage(cause) : `${errorMessage(cause)} (${code})`);
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused (ECONNREFUSED)",
  ETIMEDOUT: "no answer (ETIMEDOUT)",
  EHOSTUNREACH: "no route to that host (EHOSTUNREACH)",
  ENETUNREACH: "network unreachable (ENETUNREACH)",
};

export function givenUp(): UtError {
  return new UtError("lane.closed", "Dial given up: the node is stopping");
}

export function closedEarly(remote: string): UtError {
  return new UtError("lane.closed", `${remote} closed the connection during the TLS handshake`);
}

export function handshakeTimeout(remote: string): UtError {
  return new UtError(
    "tls.handshake",
    `No TLS handshake with ${remote} within 10 s; check that nothing between here and the server holds TLS up`,
    { details: { code: "timeout", remote } },
  );
}

type TlsError = Error & { code?: string };

export function handshakeError(error: TlsError | null, remote: string, serverName: string): UtError {
  const code = error?.code ?? "";
  if (code === "ECONNRESET") return closedEarly(remote);
  return new UtError(
    "tls.handshake",
    `Cannot trust the server at ${remote}: ${error?.message ?? "handshake failed"}; ${remedy(code, serverName)}`,
    { cause: error, details: { code, remote } },
  );
}

function remedy(code: string, serverName: string): string {
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `issue the server's certificate with --host ${serverName}, or set tls.server_name to a name it carries`;
    case "INVALID_PURPOSE":
      return "that certificate is a client's; issue the server's with --host";
    case "CERT_HAS_EXPIRED":
      return "renew the server's certificate, or set this machine's clock";
    case "CERT_NOT_YET_VALID":
      return "set this machine's clock";
    case "EPROTO":
      return "check that tcp.server_addr is the server's lane port and nothing else listens there";
    default:
      return "check that both ends use certificates of the same CA";
  }
}

/** FINDINGS: with TLS 1.3 the server's verdict arrives after our side of the handshake has succeeded. */
export function alertError(error: TlsError, remote: string): UtError {
  const refusedWithout = /CERTIFICATE_REQUIRED/.test(error.message);
  return new UtError(
    refusedWithout ? "tls.handshake" : "lane.closed",
    refusedWithout
      ? `${remote} demands a client certificate; set tls.cert and tls.key`
      : `Connection to ${remote} failed: ${error.message}`,
    { cause: error, details: { remote } },
  );
}
