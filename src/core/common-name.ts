/**
 * The common name of a certificate is the identity of a node: label of its metrics, owner of its sessions, name that
 * peers ask for. So there is exactly one, and it fits file names, log lines, metric labels and DNS without quoting
 * (DESIGN "TLS": exactly one, `[A-Za-z0-9.-]{1,64}`).
 */
export type CommonName =
  | { readonly ok: true; readonly cn: string }
  | { readonly ok: false; readonly kind: "missing" | "several" | "malformed"; readonly found: readonly string[] };

/** 64 is X.520's own limit (`ub-common-name`, RFC 5280 appendix A.1). */
const COMMON_NAME = /^[A-Za-z0-9.-]{1,64}$/;

export function isCommonName(text: string): boolean {
  return COMMON_NAME.test(text);
}

/**
 * The CN of a subject in Node's legacy form: `socket.getPeerCertificate().subject` or
 * `X509Certificate.toLegacyObject().subject`, where a name that occurs twice is an array. The subject comes from a
 * stranger, so a bad one is a value and not an error.
 */
export function commonNameOf(subject: { readonly CN?: string | readonly string[] } | undefined): CommonName {
  const found = subject?.CN === undefined ? [] : [subject.CN].flat();
  const [cn, ...others] = found;
  if (cn === undefined) return { ok: false, kind: "missing", found };
  if (others.length > 0) return { ok: false, kind: "several", found };
  return isCommonName(cn) ? { ok: true, cn } : { ok: false, kind: "malformed", found };
}
