import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIssuedBy } from "../../io/pki/pki-chain.ts";

export type KeyState = "matches" | "mismatch" | "unreadable" | "absent";

/** Whether a private key, if it is kept here, is the one of a certificate. */
export function keyState(cert: string, key: string | undefined): KeyState {
  if (key === undefined) return "absent";
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? "matches" : "mismatch";
  } catch {
    return "unreadable";
  }
}

/** Whether a CA has signed a certificate; one that cannot be read has signed nothing. */
export function isOfCa(cert: string, ca: string): boolean {
  try {
    return isIssuedBy(new X509Certificate(cert), new X509Certificate(ca));
  } catch {
    return false;
  }
}
