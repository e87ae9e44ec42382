import type { CertificateStatus, PeerCertificate } from "../../core/certificate-status.ts";
import type { Credentials } from "../../io/pki/credentials.ts";

/** Names are the CA's to give, so this is no limit on strangers; nobody reads a longer list. */
const MAX_PEERS = 1_024;

/** Whose certificates this process has seen, and when they end: the last one of each name, the names seen latest. */
export class SeenCertificates {
  /** Those seen longest ago first. */
  readonly #peers = new Map<string, { notAfter: Date; seenAt: Date }>();

  saw(cn: string, notAfter: Date, seenAt = new Date()): void {
    this.#peers.delete(cn);
    this.#peers.set(cn, { notAfter, seenAt });
    const [oldest] = this.#peers.keys();
    if (this.#peers.size > MAX_PEERS && oldest !== undefined) this.#peers.delete(oldest);
  }

  /** By name. */
  get peers(): PeerCertificate[] {
    return [...this.#peers]
      .map(([cn, { notAfter, seenAt }]) => ({ cn, notAfter: notAfter.toISOString(), seenAt: seenAt.toISOString() }))
      .sort((one, other) => (one.cn < other.cn ? -1 : 1));
  }
}

/** A snapshot for `/api/status`. */
export function certificateStatus(credentials: Credentials, seen: SeenCertificates): CertificateStatus {
  const { cn, notBefore, notAfter, caNotAfter, fingerprint } = credentials;
  return {
    own: { cn, notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString(), fingerprint },
    authority: { notAfter: caNotAfter.toISOString() },
    peers: seen.peers,
  };
}
