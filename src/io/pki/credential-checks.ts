import type { KeyObject, X509Certificate } from "node:crypto";
import { commonNameOf } from "../../core/common-name.ts";
import type { Usage } from "./pki.ts";
import { findChain } from "./pki-chain.ts";
import { AGENT_ZONE } from "./pki-hosts.ts";
import { daysLeft, formatTime, formatTimeLeft, validityAt } from "./pki-validity.ts";

/** Stable names of what can be wrong, for `ut check --json` and tests. Append-only. */
export type CredentialReason =
  | "unreadable"
  | "not-pem"
  | "encrypted-key"
  | "not-a-ca"
  | "is-a-ca"
  | "common-name"
  | "key-mismatch"
  | "wrong-ca"
  | "expired"
  | "not-yet-valid"
  | "ca-expired"
  | "usage"
  | "no-hosts";

/** One thing that is wrong, in the parts of a sentence: what was found there, and what to do about it. */
export interface CredentialProblem {
  readonly reason: CredentialReason;
  readonly key: "tls.ca_cert" | "tls.cert" | "tls.key";
  readonly path: string;
  readonly cause: string;
  readonly remedy: string;
}

/** What still works today: what was found, and the command to look up. */
export interface CredentialWarning {
  readonly reason: "ends-soon" | "ca-ends-soon" | "key-is-public";
  readonly cause: string;
  readonly remedy: string;
}

/** Files that could be read and decoded. */
export interface Material {
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly authorities: readonly X509Certificate[];
  readonly leaf: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
  readonly key: KeyObject;
  readonly now: Date;
}

/** What a node does with its certificate: dial, be dialled, be dialled by peers as an agent (`CN.ut.internal`). */
export type CertificateNeed = Usage | "agent";

export interface Verdict {
  readonly problems: readonly CredentialProblem[];
  /** The CN, valid when there are no problems. */
  readonly cn: string;
  /** Leaf to root, complete when there are no problems. */
  readonly path: readonly X509Certificate[];
}

const WARN_NODE_DAYS = 30;
/** A new CA certificate has to reach every node. */
const WARN_CA_DAYS = 90;

const USAGE_OIDS: Record<Usage, string> = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
};

/** Every check that a TLS peer will make, and the ones that it would make too late; the most telling cause first. */
export function checkMaterial(material: Material, needs: readonly CertificateNeed[]): Verdict {
  const name = checkName(material.leaf);
  const chain = checkChain(material);
  const problems = [
    checkIsNode(material.leaf),
    name.problem,
    checkKey(material),
    chain.problem,
    ...chain.path.map((certificate) => checkValidity(material, certificate, name.cn)),
    ...needs.map((need) =>
      need === "agent" ? checkAgent(material.leaf, name.cn) : checkUsage(material.leaf, need, name.cn),
    ),
    needs.includes("serverAuth") ? checkHosts(material.leaf, name.cn) : undefined,
  ];
  return { problems: problems.filter((one) => one !== undefined).map(locate), cn: name.cn, path: chain.path };

  function locate({ at, ...problem }: Found): CredentialProblem {
    const key = ({ ca: "tls.ca_cert", cert: "tls.cert", key: "tls.key" } as const)[at];
    return { ...problem, key, path: material.files[at] };
  }
}

export function warnAbout(material: Material, { cn, path }: Verdict, keyIsPublic: boolean): CredentialWarning[] {
  const { files, now } = material;
  const warnings: CredentialWarning[] = [];
  for (const certificate of path) {
    const validity = validityOf(certificate);
    const isLeaf = certificate === material.leaf;
    if (daysLeft(validity, now) >= (isLeaf ? WARN_NODE_DAYS : WARN_CA_DAYS)) continue;
    const what = isLeaf ? `The certificate ${files.cert}` : `The CA "${oneLine(certificate.subject)}" of ${files.ca}`;
    const remedy = isLeaf ? `ut pki renew --cn ${cn}` : "ut pki renew --ca";
    const cause = `${what} ends on ${formatTime(validity.notAfter)} (${formatTimeLeft(validity, now)})`;
    warnings.push({ reason: isLeaf ? "ends-soon" : "ca-ends-soon", cause, remedy });
  }
  const cause = `Every user of this machine can read the private key ${files.key}`;
  if (keyIsPublic) warnings.push({ reason: "key-is-public", cause, remedy: `chmod 600 ${files.key}` });
  return warnings;
}

/** A problem before its file is known by path. */
interface Found extends Pick<CredentialProblem, "reason" | "cause" | "remedy"> {
  readonly at: "ca" | "cert" | "key";
}

function checkIsNode(leaf: X509Certificate): Found | undefined {
  if (!leaf.ca) return undefined;
  const remedy = 'name the certificate that "ut pki issue" made for this node';
  return { at: "cert", reason: "is-a-ca", cause: "it is the certificate of a CA", remedy };
}

function checkName(leaf: X509Certificate): { readonly cn: string; readonly problem?: Found } {
  const name = commonNameOf(leaf.toLegacyObject().subject);
  if (name.ok) return { cn: name.cn };
  const causes = {
    missing: "it has no common name (CN), which is what other nodes know it by",
    several: `it has ${name.found.length} common names (${name.found.join(", ")}), and a node must have exactly one`,
    malformed: `its common name "${name.found.join()}" is not 1 to 64 letters, digits, dots and hyphens`,
  };
  const remedy = 'issue one with "ut pki issue --cn NAME"';
  return { cn: "NAME", problem: { at: "cert", reason: "common-name", cause: causes[name.kind], remedy } };
}

function checkKey({ leaf, key, files }: Material): Found | undefined {
  if (leaf.checkPrivateKey(key)) return undefined;
  const cause = `it is not the key of the certificate ${files.cert}`;
  return { at: "key", reason: "key-mismatch", cause, remedy: "copy certificate and key again, from the same issue" };
}

function checkChain({ leaf, intermediates, authorities, files }: Material): {
  readonly path: readonly X509Certificate[];
  readonly problem?: Found;
} {
  if (!authorities.some((authority) => authority.ca)) {
    const cause = `"${oneLine(authorities[0]?.subject)}" is no CA`;
    const remedy = 'name the ca.pem that "ut pki init" wrote';
    return { path: [leaf], problem: { at: "ca", reason: "not-a-ca", cause, remedy } };
  }
  const chain = findChain(leaf, intermediates, authorities);
  if (chain.ok) return { path: chain.path };
  const issuer = oneLine(chain.at.issuer);
  const held = authorities.map((authority) => `"${oneLine(authority.subject)}"`).join(", ");
  const cause =
    chain.kind === "other-key"
      ? `it names the issuer "${issuer}", but the CA of that name in ${files.ca} has not signed it (an older one?)`
      : `it was issued by "${issuer}", but ${files.ca} holds ${held}`;
  const remedy =
    "both ends of a tunnel need certificates of one CA: copy the ca.pem that belongs to it, or issue it anew";
  return { path: [leaf], problem: { at: "cert", reason: "wrong-ca", cause, remedy } };
}

function checkValidity(material: Material, certificate: X509Certificate, cn: string): Found | undefined {
  const { now, leaf, authorities } = material;
  const validity = validityOf(certificate);
  const state = validityAt(validity, now);
  if (state === "valid") return undefined;
  const isLeaf = certificate === leaf;
  const at = authorities.includes(certificate) ? "ca" : "cert";
  const subject = `"${oneLine(certificate.subject)}"`;
  if (state === "not-yet-valid") {
    const cause = `${subject} is valid from ${formatTime(validity.notBefore)}, and the clock here says ${formatTime(now)}`;
    return {
      at,
      reason: "not-yet-valid",
      cause,
      remedy: "set the clock of this machine, or of the one that issued it",
    };
  }
  const cause = `${subject} ${formatTimeLeft(validity, now)}, on ${formatTime(validity.notAfter)} (the clock here says ${formatTime(now)})`;
  const remedy = isLeaf
    ? `renew it with "ut pki renew --cn ${cn}" where the CA is, and copy it here`
    : 'renew it with "ut pki renew --ca", and copy ca.pem to every node';
  return { at, reason: isLeaf ? "expired" : "ca-expired", cause, remedy };
}

function checkUsage(leaf: X509Certificate, usage: Usage, cn: string): Found | undefined {
  const granted = extendedKeyUsages(leaf);
  if (granted?.includes(USAGE_OIDS[usage])) return undefined;
  // RFC 5280 §4.2.1.12: without the extension every usage is allowed. Our clients still ask for serverAuth by name.
  if (granted === undefined && usage === "clientAuth") return undefined;
  const [cause, flags] =
    usage === "serverAuth"
      ? ["it lacks the usage serverAuth, so clients will refuse this node as a server", " --host HOST"]
      : ["it lacks the usage clientAuth, so servers will refuse this node as a client", ""];
  return { at: "cert", reason: "usage", cause, remedy: `issue it with "ut pki issue --cn ${cn}${flags} --force"` };
}

/** Clients check the name that they dialled, and nothing but subjectAltName counts for it (RFC 9525 §6.3). */
function checkHosts(leaf: X509Certificate, cn: string): Found | undefined {
  if (leaf.subjectAltName !== undefined) return undefined;
  const cause = "it names no host (subjectAltName), so no client can tell that it dialled the right server";
  return {
    at: "cert",
    reason: "no-hosts",
    cause,
    remedy: `issue it with "ut pki issue --cn ${cn} --host HOST --force"`,
  };
}

/** Peers dial an agent by the name that only `--agent` grants. */
function checkAgent(leaf: X509Certificate, cn: string): Found | undefined {
  const isServer = extendedKeyUsages(leaf)?.includes(USAGE_OIDS.serverAuth) === true;
  const name = `${cn}.${AGENT_ZONE}`.toLowerCase();
  if (isServer && leaf.checkHost(name) !== undefined) return undefined;
  const cause = `it is not an agent's (serverAuth for ${name}), which services.socks needs: peers' ut socks would refuse it`;
  return { at: "cert", reason: "usage", cause, remedy: `issue it with "ut pki issue --cn ${cn} --agent --force"` };
}

/** Node calls the extended key usages `keyUsage`. */
function extendedKeyUsages(certificate: X509Certificate): readonly string[] | undefined {
  return certificate.keyUsage as readonly string[] | undefined;
}

function validityOf(certificate: X509Certificate): { notBefore: Date; notAfter: Date } {
  return { notBefore: certificate.validFromDate, notAfter: certificate.validToDate };
}

/** Node writes one relative name a line, and escapes what is not printable. */
function oneLine(name: string | undefined): string {
  return (name ?? "").replaceAll("\n", ", ");
}
