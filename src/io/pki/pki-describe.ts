import type * as X509 from "@peculiar/x509";
import { commonNameOf } from "../../core/common-name.ts";
import { UtError } from "../../core/error.ts";
import { certificatesIn } from "./pem.ts";
import { canonicalIp, formatSubjectAltName } from "./pki-hosts.ts";
import type { Validity } from "./pki-validity.ts";
import { loadX509, type X509Library } from "./x509.ts";

/** What a certificate says, in words for people and for JSON. */
export interface CertificateInfo extends Validity {
  /** `CN=home`, most significant part first as in the certificate. */
  readonly subject: string;
  readonly issuer: string;
  /** The node's identity; a CA or a foreign certificate may have none that qualifies. */
  readonly cn: string | undefined;
  readonly ca: boolean;
  /** How many CAs may follow below this one; undefined for nodes and for a CA without a limit. */
  readonly pathLength: number | undefined;
  /** `digitalSignature`, `keyCertSign`, … (RFC 5280 §4.2.1.3) */
  readonly keyUsage: readonly string[];
  /** `clientAuth`, `serverAuth`, other purposes as OID. */
  readonly extendedKeyUsage: readonly string[];
  /** `DNS:vpn.example.com`, `IP:2001:db8::1`, other kinds as `KIND:value`. */
  readonly names: readonly string[];
  /** Hexadecimal, upper case, as openssl prints it. */
  readonly serial: string;
  /** SHA-256 over the DER form, `AA:BB:…` as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
}

/**
 * Takes the first certificate of a PEM text apart.
 *
 * @throws UtError `pki.unreadable` where there is none, or it does not decode
 */
export async function describeCertificate(pem: string): Promise<CertificateInfo> {
  const x509 = await loadX509();
  try {
    const [native] = certificatesIn(pem);
    if (native === undefined) throw new Error("no PEM certificate");
    const parsed = new x509.X509Certificate(new Uint8Array(native.raw));
    const name = commonNameOf(native.toLegacyObject().subject);
    return {
      subject: parsed.subject,
      issuer: parsed.issuer,
      cn: name.ok ? name.cn : undefined,
      ca: native.ca,
      pathLength: parsed.getExtension(x509.BasicConstraintsExtension)?.pathLength,
      keyUsage: keyUsageOf(x509, parsed),
      extendedKeyUsage: extendedKeyUsageOf(x509, parsed),
      names: namesOf(x509, parsed),
      notBefore: parsed.notBefore,
      notAfter: parsed.notAfter,
      serial: native.serialNumber,
      fingerprint: native.fingerprint256,
    };
  } catch (cause) {
    throw new UtError("pki.unreadable", "Cannot read the certificate: it is no PEM certificate, or a damaged one", {
      cause,
    });
  }
}

function keyUsageOf(x509: X509Library, certificate: X509.X509Certificate): string[] {
  const bits = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  return Object.entries(x509.KeyUsageFlags).flatMap(([name, bit]) =>
    typeof bit === "number" && (bits & bit) !== 0 ? [name] : [],
  );
}

function extendedKeyUsageOf(x509: X509Library, certificate: X509.X509Certificate): string[] {
  const names = new Map<string, string>(Object.entries(x509.ExtendedKeyUsage).map(([name, oid]) => [oid, name]));
  const oids = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [];
  return oids.map((oid) => names.get(String(oid)) ?? String(oid));
}

function namesOf(x509: X509Library, certificate: X509.X509Certificate): string[] {
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  return names.map(({ type, value }) => {
    if (type === "ip") return formatSubjectAltName({ type, value: canonicalIp(value) });
    return type === "dns" ? formatSubjectAltName({ type, value }) : `${type}:${value}`;
  });
}
