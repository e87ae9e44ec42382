/** The certificates that a node lives by: a snapshot for `/api/status`. Times are ISO 8601. */
export interface CertificateStatus {
  readonly own: {
    readonly cn: string;
    readonly notBefore: string;
    readonly notAfter: string;
    /** SHA-256, `AA:BB:…`. */
    readonly fingerprint: string;
  };
  /** The CA above it; where it ends, every node does. */
  readonly authority: { readonly notAfter: string };
  /** Of others that have proven themselves to this process, by CN. */
  readonly peers: readonly PeerCertificate[];
}

export interface PeerCertificate {
  readonly cn: string;
  readonly notAfter: string;
  readonly seenAt: string;
}
