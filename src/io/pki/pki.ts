import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { isCommonName } from "../../core/common-name.ts";
import { UtError } from "../../core/error.ts";
import { agentHost, parseHost, type SubjectAltName } from "./pki-hosts.ts";
import { DEFAULT_CA_DAYS, DEFAULT_NODE_DAYS, type Lifetime, lifetimeOf, lifetimeWithin } from "./pki-lifetime.ts";
import type { Validity } from "./pki-validity.ts";
import { loadX509, type X509Library } from "./x509.ts";

/** A certificate and its private key in PEM, the key as unencrypted PKCS#8. A CA is one of these, too. */
export interface KeyedCertificate {
  readonly cert: string;
  readonly key: string;
}

export type Usage = "clientAuth" | "serverAuth";

/** What a node's certificate says. `subject` and `usages` exist to make certificates that must be refused. */
export interface NodeRequest extends Lifetime {
  /** The node's identity, `[A-Za-z0-9.-]{1,64}`. */
  readonly cn?: string;
  /** Instead of `cn`: relative names as they are, `[{ CN: "a" }, { CN: "b" }]` or `[{ O: "no name" }]`. */
  readonly subject?: readonly Readonly<Record<string, string>>[];
  /** DNS names, IPv4 and IPv6 addresses that clients dial. One or more makes it a server's certificate. */
  readonly hosts?: readonly string[];
  /** A node that offers services to peers: SAN `CN.ut.internal`, and a server's certificate as well. */
  readonly agent?: boolean;
  /** Instead of clientAuth, and serverAuth for hosts and agents. */
  readonly usages?: readonly Usage[];
}

/** RFC 5280 §4.1.2.2 wants them unique per CA and allows 20 octets; 128 random bits need no counter to keep. */
const SERIAL_BYTES = 16;
const EC_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/**
 * A self-signed CA for `ut` nodes: P-256, may sign nodes but no further CA.
 *
 * Its default name is unique: "issued by another CA" can then be told from "this CA's key signed something else". The
 * space in it keeps it from ever passing as a node's CN.
 *
 * @throws UtError `pki.bad-name` for a name that is empty, longer than 64 characters or not printable
 */
export async function makeCa(options: Lifetime & { readonly cn?: string } = {}): Promise<KeyedCertificate> {
  const x509 = await loadX509();
  const keys = await generateKeys();
  const subject = new x509.Name([{ CN: [caName(options.cn)] }]);
  const cert = await sign(x509, {
    subject,
    publicKey: keys.publicKey,
    issuer: { name: subject, key: keys.privateKey },
    lifetime: lifetimeOf(options, DEFAULT_CA_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert, key: await privateKeyPem(keys.privateKey) };
}

/**
 * A new key and its certificate for one node, signed by `ca` and within the CA's own lifetime.
 *
 * @throws UtError `pki.bad-name` for a CN or host that no certificate may carry, `pki.unreadable` or `pki.mismatch` for
 *   a CA that cannot sign, `pki.expired` for one whose time is not now
 */
export async function issueNode(ca: KeyedCertificate, request: NodeRequest): Promise<KeyedCertificate> {
  const x509 = await loadX509();
  const names = namesOf(request);
  const issuer = await openIssuer(x509, ca);
  const keys = await generateKeys();
  const usages = request.usages ?? (names.length > 0 ? ["serverAuth", "clientAuth"] : ["clientAuth"]);
  const cert = await sign(x509, {
    subject: subjectOf(x509, request),
    publicKey: keys.publicKey,
    issuer,
    lifetime: lifetimeWithin(issuer.certificate, request, DEFAULT_NODE_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage])),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension([...names])] : []),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await authorityKeyIdentifier(x509, issuer.certificate),
    ],
  });
  return { cert, key: await privateKeyPem(keys.privateKey) };
}

/**
 * The same node for longer: subject, names and usages as they were, and the same key unless a new one is wanted. The
 * private key is not needed, so a CA can renew nodes whose key never left them.
 *
 * @returns the certificate, and the key if it is a new one
 * @throws UtError as `issueNode`
 */
export async function renewNode(
  ca: KeyedCertificate,
  oldCert: string,
  options: Lifetime & { readonly newKey?: boolean } = {},
): Promise<{ readonly cert: string; readonly key?: string }> {
  const x509 = await loadX509();
  const issuer = await openIssuer(x509, ca);
  const old = parseCertificate(x509, oldCert);
  const keys = options.newKey ? await generateKeys() : undefined;
  const publicKey = keys?.publicKey ?? (await old.publicKey.export());
  const replaced = new Set([x509.SubjectKeyIdentifierExtension, x509.AuthorityKeyIdentifierExtension]);
  const cert = await sign(x509, {
    subject: old.subjectName,
    publicKey,
    issuer,
    lifetime: lifetimeWithin(issuer.certificate, options, DEFAULT_NODE_DAYS),
    extensions: [
      ...old.extensions.filter((extension) => ![...replaced].some((type) => extension instanceof type)),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await authorityKeyIdentifier(x509, issuer.certificate),
    ],
  });
  return keys === undefined ? { cert } : { cert, key: await privateKeyPem(keys.privateKey) };
}

/**
 * The same CA for longer. Name and key stay, so what it has signed stays valid; nodes need the new `ca.pem` before the
 * old one ends.
 *
 * @throws UtError `pki.unreadable` or `pki.mismatch` for a CA that cannot sign
 */
export async function renewCa(ca: KeyedCertificate, options: Lifetime = {}): Promise<string> {
  const x509 = await loadX509();
  const issuer = await openIssuer(x509, ca);
  return sign(x509, {
    subject: issuer.certificate.subjectName,
    publicKey: await issuer.certificate.publicKey.export(),
    issuer,
    lifetime: lifetimeOf(options, DEFAULT_CA_DAYS),
    extensions: issuer.certificate.extensions,
  });
}

interface Issuer {
  readonly name: X509.Name;
  readonly key: CryptoKey;
}

interface Unsigned {
  readonly subject: X509.Name;
  readonly publicKey: CryptoKey;
  readonly issuer: Issuer;
  readonly lifetime: Validity;
  readonly extensions: X509.Extension[];
}

async function sign(x509: X509Library, unsigned: Unsigned): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(SERIAL_BYTES).toString("hex"),
    subject: unsigned.subject,
    issuer: unsigned.issuer.name,
    ...unsigned.lifetime,
    publicKey: unsigned.publicKey,
    signingKey: unsigned.issuer.key,
    signingAlgorithm: EC_P256,
    extensions: unsigned.extensions,
  });
  return `${certificate.toString("pem")}\n`;
}

function namesOf(request: NodeRequest): SubjectAltName[] {
  const names = (request.hosts ?? []).map(parseHost);
  if (request.agent) names.push(agentHost(request.cn ?? ""));
  return names.filter((name, at) => names.findIndex((other) => other.value === name.value) === at);
}

function subjectOf(x509: X509Library, request: NodeRequest): X509.Name {
  if (request.subject !== undefined)
    return new x509.Name(
      request.subject.map((part) => Object.fromEntries(Object.entries(part).map(([type, text]) => [type, [text]]))),
    );
  const cn = request.cn ?? "";
  if (!isCommonName(cn))
    throw new UtError(
      "pki.bad-name",
      `Cannot issue a certificate for the CN "${cn}": use 1 to 64 letters, digits, dots and hyphens`,
      { details: { cn } },
    );
  return new x509.Name([{ CN: [cn] }]);
}

function caName(wanted: string | undefined): string {
  if (wanted === undefined) return `ut CA ${randomBytes(4).toString("hex")}`;
  if (/^[^\p{Cc}]{1,64}$/u.test(wanted) && wanted.trim() === wanted) return wanted;
  throw new UtError("pki.bad-name", `Cannot name a CA "${wanted}": use 1 to 64 printable characters`, {
    details: { cn: wanted },
  });
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(EC_P256, true, ["sign", "verify"]);
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  }) as string;
}

/** The CA, ready to sign: its key read in whatever PEM form, and proven to belong to its certificate. */
async function openIssuer(
  x509: X509Library,
  ca: KeyedCertificate,
): Promise<Issuer & { readonly certificate: X509.X509Certificate }> {
  const certificate = parseCertificate(x509, ca.cert);
  let pkcs8: Uint8Array<ArrayBuffer>;
  try {
    const key = createPrivateKey(ca.key);
    if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
      throw new UtError(
        "pki.unreadable",
        "Cannot sign with the CA's key: it is no P-256 key, and ut signs with no other",
      );
    if (!new X509Certificate(ca.cert).checkPrivateKey(key))
      throw new UtError(
        "pki.mismatch",
        `Cannot sign as "${certificate.subject}": the CA's key belongs to another certificate`,
      );
    pkcs8 = new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
  } catch (cause) {
    if (cause instanceof UtError) throw cause;
    throw new UtError("pki.unreadable", "Cannot read the CA's private key: it is no unencrypted PEM key", { cause });
  }
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, EC_P256, false, ["sign"]);
  return { name: certificate.subjectName, key, certificate };
}

function parseCertificate(x509: X509Library, pem: string): X509.X509Certificate {
  try {
    return new x509.X509Certificate(pem);
  } catch (cause) {
    throw new UtError("pki.unreadable", "Cannot read the certificate: it is no PEM certificate", { cause });
  }
}

/** RFC 5280 §4.2.1.1: the same value as the CA's own key identifier. */
async function authorityKeyIdentifier(x509: X509Library, ca: X509.X509Certificate): Promise<X509.Extension> {
  const keyId = ca.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  return keyId === undefined
    ? x509.AuthorityKeyIdentifierExtension.create(await ca.publicKey.export())
    : new x509.AuthorityKeyIdentifierExtension(keyId);
}
