import type { X509Certificate } from "node:crypto";

/** Why a certificate does not lead to a CA, or the way it does: the leaf first, the root last. */
export type Chain =
  | { readonly ok: true; readonly path: readonly X509Certificate[] }
  | { readonly ok: false; readonly kind: "other-issuer" | "other-key"; readonly at: X509Certificate };

/** Longer chains do not exist in practice, and a loop of two certificates that sign each other would never end. */
const MAX_LENGTH = 8;

/**
 * The way from `leaf` over `intermediates` to a self-signed certificate among `roots`, as TLS will look for it. Names
 * and signatures only: validity and usage are other questions with other answers.
 */
export function findChain(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): Chain {
  const path = [leaf];
  for (let at = leaf; path.length < MAX_LENGTH; ) {
    if (isSelfSigned(at) && roots.some((root) => root.raw.equals(at.raw))) return { ok: true, path };
    const namesakes = [...roots, ...intermediates].filter((candidate) => candidate.subject === at.issuer);
    const issuer = namesakes.find((candidate) => isIssuedBy(at, candidate) && !path.includes(candidate));
    if (issuer === undefined) return { ok: false, kind: namesakes.length > 0 ? "other-key" : "other-issuer", at };
    path.push(issuer);
    at = issuer;
  }
  return { ok: false, kind: "other-issuer", at: path.at(-1)! };
}

export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.issuer === issuer.subject && certificate.verify(issuer.publicKey);
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}
