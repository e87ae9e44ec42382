import { X509Certificate } from "node:crypto";

/** Every certificate of a PEM text in its order, text between them ignored. @throws Error where one does not decode */
export function certificatesIn(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Whether the text holds a private key of any form, encrypted ones included. */
export function holdsPrivateKey(text: string): boolean {
  return /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(text);
}

/** PKCS#8 says so in its label, the older forms in a header (RFC 1421 §4.6.1.1). */
export function holdsEncryptedKey(text: string): boolean {
  return text.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") || /^Proc-Type: 4,ENCRYPTED/m.test(text);
}
