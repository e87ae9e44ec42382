import type { KeyObject, X509Certificate } from "node:crypto";
import { createPrivateKey } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { UtError } from "../../core/error.ts";
import {
  type CertificateNeed,
  type CredentialProblem,
  type CredentialWarning,
  checkMaterial,
  type Material,
  warnAbout,
} from "./credential-checks.ts";
import { certificatesIn, holdsEncryptedKey, holdsPrivateKey } from "./pem.ts";

/** The paths of `tls.ca_cert`, `tls.cert` and `tls.key`. */
export interface CredentialFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface CredentialOptions {
  /** What the node's roles do with the certificate: dial (clientAuth), be dialled (serverAuth), or both. */
  readonly needs: readonly CertificateNeed[];
  /** The clock, now by default. */
  readonly now?: Date;
}

/** A node's identity, checked: `ca`, `cert` and `key` are PEM texts as Bun's and Node's `tls` options take them. */
export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The one common name, by which every other node knows this one. */
  readonly cn: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The earliest end among the CAs above the certificate: then every node stops, not only this one. */
  readonly caNotAfter: Date;
  /** SHA-256 of the certificate, `AA:BB:…` as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  /** What will go wrong soon or is unwise. */
  readonly warnings: readonly CredentialWarning[];
}

/** Everything that is wrong at once, for `ut check`; `credentials` stands exactly when nothing is. */
export interface Examination {
  readonly credentials?: Credentials;
  readonly problems: readonly UtError[];
}

/**
 * Reads and checks what a node proves itself with, so that a wrong file is a sentence at start and not a handshake
 * that fails at the other end.
 *
 * @throws UtError `tls.credentials` with the first problem; `details.reason` is a `CredentialReason`,
 *   `details.key` the config key, `details.path` the file
 */
export async function loadCredentials(files: CredentialFiles, options: CredentialOptions): Promise<Credentials> {
  const { credentials, problems } = await examineCredentials(files, options);
  if (credentials === undefined) throw problems[0]!; // `problems` is empty only with credentials.
  return credentials;
}

/** As `loadCredentials`, but goes on after the first problem as far as the files allow. Throws nothing. */
export async function examineCredentials(files: CredentialFiles, options: CredentialOptions): Promise<Examination> {
  const [ca, cert, key] = await Promise.all([
    readOne("tls.ca_cert", files.ca, parseCertificates),
    readOne("tls.cert", files.cert, parseCertificates),
    readOne("tls.key", files.key, parseKey),
  ]);
  const unreadable = [ca, cert, key].flatMap((one) => (one.ok ? [] : [asError(one.problem)]));
  if (!ca.ok || !cert.ok || !key.ok) return { problems: unreadable };

  const now = options.now ?? new Date();
  const [leaf, ...intermediates] = cert.value;
  // parseCertificates answers with a problem where there is none.
  const material: Material = { files, authorities: ca.value, leaf: leaf!, intermediates, key: key.value, now };
  const verdict = checkMaterial(material, options.needs);
  const { problems, cn, path } = verdict;
  if (problems.length > 0) return { problems: problems.map(asError) };
  return {
    problems: [],
    credentials: Object.freeze({
      ca: ca.text,
      cert: cert.text,
      key: key.text,
      cn,
      notBefore: material.leaf.validFromDate,
      notAfter: material.leaf.validToDate,
      caNotAfter: new Date(Math.min(...path.slice(1).map((authority) => authority.validToDate.getTime()))),
      fingerprint: material.leaf.fingerprint256,
      warnings: warnAbout(material, verdict, await isWorldReadable(files.key)),
    }),
  };
}

type Read<Value> =
  | { readonly ok: true; readonly text: string; readonly value: Value }
  | { readonly ok: false; readonly problem: CredentialProblem };

type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Pick<CredentialProblem, "reason" | "cause" | "remedy"> };

async function readOne<Value>(
  configKey: CredentialProblem["key"],
  path: string,
  parse: (text: string, path: string) => Parsed<Value>,
): Promise<Read<Value>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    return { ok: false, problem: { key: configKey, path, reason: "unreadable", ...whyUnreadable(configKey, error) } };
  }
  const parsed = parse(text, path);
  return parsed.ok
    ? { ok: true, text, value: parsed.value }
    : { ok: false, problem: { key: configKey, path, ...parsed.problem } };
}

function whyUnreadable(configKey: string, error: unknown): { cause: string; remedy: string } {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  switch (code) {
    case "ENOENT":
      return {
        cause: "there is no such file",
        remedy: `correct ${configKey} in the config, or make the certificates with "ut pki" and copy them here`,
      };
    case "EACCES":
    case "EPERM":
      return { cause: "permission denied", remedy: "let the user that runs ut read it, with chown or chmod" };
    case "EISDIR":
      return { cause: "it is a folder", remedy: `name the file itself in ${configKey}` };
    default:
      return { cause: code, remedy: `check the disk and ${configKey} in the config` };
  }
}

function parseCertificates(text: string, path: string): Parsed<X509Certificate[]> {
  try {
    const value = certificatesIn(text);
    if (value.length > 0) return { ok: true, value };
  } catch {
    const problem = { cause: "its PEM certificate is damaged", remedy: "copy it again from where it was made" };
    return { ok: false, problem: { reason: "not-pem", ...problem } };
  }
  const problem = holdsPrivateKey(text)
    ? { cause: "it holds a private key and no certificate", remedy: "are tls.cert and tls.key swapped?" }
    : {
        cause: 'it holds no "-----BEGIN CERTIFICATE-----"',
        remedy: `expected PEM; "openssl x509 -inform der -in ${path}" converts a DER file`,
      };
  return { ok: false, problem: { reason: "not-pem", ...problem } };
}

function parseKey(text: string, path: string): Parsed<KeyObject> {
  if (holdsEncryptedKey(text)) {
    const remedy = `remove it with "openssl pkey -in ${path} -out FILE" and keep FILE at mode 0600`;
    return { ok: false, problem: { reason: "encrypted-key", cause: "it is protected by a passphrase", remedy } };
  }
  try {
    return { ok: true, value: createPrivateKey(text) };
  } catch {
    const problem = text.includes("-----BEGIN CERTIFICATE-----")
      ? { cause: "it holds a certificate and no private key", remedy: "are tls.cert and tls.key swapped?" }
      : { cause: "it holds no PEM private key", remedy: "copy it again from where it was made" };
    return { ok: false, problem: { reason: "not-pem", ...problem } };
  }
}

function asError(problem: CredentialProblem): UtError {
  const { key, path, reason, cause, remedy } = problem;
  return new UtError("tls.credentials", `Cannot use ${path} as ${key}: ${cause}: ${remedy}`, {
    details: { reason, key, path, cause, remedy },
  });
}

async function isWorldReadable(path: string): Promise<boolean> {
  if (process.platform === "win32") return false;
  return ((await stat(path)).mode & 0o004) !== 0;
}
