import { type LaneSocket, peerName } from "./tls-lane.ts";

/** `reason` label of `ut_tls_handshake_fail_total`: why a server refuses a connection. */
export type HandshakeFailure =
  | "no_certificate"
  | "wrong_ca"
  | "expired"
  | "not_yet_valid"
  | "bad_cn"
  | "denied_cn"
  | "wrong_purpose"
  | "not_tls"
  | "timeout"
  | "crowded_out"
  | "visitor"
  | "closed"
  | "other";

export interface TlsVerdict {
  readonly reason: HandshakeFailure;
  /** For the log. */
  readonly detail: string;
}

/**
 * Why this client may not come in, or undefined. `success` alone means little (FINDINGS): trust only no error, an
 * authorised socket and one proper CN.
 */
export function judgePeer(
  socket: LaneSocket,
  success: boolean,
  error: (Error & { code?: string }) | null,
  denyCn: readonly string[],
): TlsVerdict | undefined {
  if (!success || error || !socket.authorized) {
    const detail = error?.message ?? error?.code ?? "unauthorized";
    // Where none is required (wss), the lack of one is a chain without a beginning.
    if (success && socket.getPeerCertificate()?.subject === undefined) return { reason: "no_certificate", detail };
    return { reason: reasonOf(error?.code ?? "", detail), detail };
  }
  const name = peerName(socket);
  if (!name.ok) {
    const found = name.found.length === 0 ? "none" : name.found.join(", ");
    return {
      reason: "bad_cn",
      detail: `the certificate must have exactly one CN of [A-Za-z0-9.-]{1,64}; found ${found}`,
    };
  }
  if (denyCn.includes(name.cn)) return { reason: "denied_cn", detail: `CN ${name.cn} is in tls.deny_cn` };
  return undefined;
}

function reasonOf(code: string, detail: string): HandshakeFailure {
  if (code !== "EPROTO") return REASONS[code] ?? "other";
  if (/PEER_DID_NOT_RETURN_A_CERTIFICATE/.test(detail)) return "no_certificate";
  // What BoringSSL says to bytes that are no TLS record, and to other protocols that it knows.
  return /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|UNEXPECTED_RECORD|UNEXPECTED_MESSAGE|LENGTH_TOO_LONG|BAD_PACKET|DECODE_ERROR|EXCESSIVE_MESSAGE_SIZE/.test(
    detail,
  )
    ? "not_tls"
    : "other";
}

/** OpenSSL's names, as Bun reports them in `error.code`. */
const REASONS: Record<string, HandshakeFailure> = {
  ECONNRESET: "closed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "wrong_ca",
  UNABLE_TO_GET_ISSUER_CERT: "wrong_ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "wrong_ca",
  SELF_SIGNED_CERT_IN_CHAIN: "wrong_ca",
  DEPTH_ZERO_SELF_SIGNED_CERT: "wrong_ca",
  CERT_SIGNATURE_FAILURE: "wrong_ca",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not_yet_valid",
  INVALID_PURPOSE: "wrong_purpose",
};
