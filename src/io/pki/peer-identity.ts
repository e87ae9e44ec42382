import { createPrivateKey, type KeyObject, sign, verify, type X509Certificate } from "node:crypto";
import { commonNameOf } from "../../core/common-name.ts";
import { errorMessage } from "../../core/error.ts";
import type { PeerIdentity, Verified } from "../../core/pipe/handshake.ts";
import { certificatesIn } from "./pem.ts";
import { findChain } from "./pki-chain.ts";

/** PEM texts, as `loadCredentials` has checked them. */
export interface PeerCredentials {
  readonly cn: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * This node's certificate as the signer of offers, and the private CA as the judge of the certificates of others. The
 * clock is read at each verification: a node runs for longer than a certificate lasts.
 *
 * @param denyCn names that are shut out although the CA signed them (`tls.deny_cn`)
 * @param seen is told of each certificate whose owner has proven itself, and when it ends
 */
export function peerIdentity(
  credentials: PeerCredentials,
  denyCn: readonly string[] = [],
  seen?: (cn: string, notAfter: Date) => void,
): PeerIdentity {
  const key = createPrivateKey(credentials.key);
  const authorities = certificatesIn(credentials.ca);
  return {
    cn: credentials.cn,
    certificate: credentials.cert,
    sign: (text) => new Uint8Array(sign(digestOf(key), text, key)),
    verify(pem, text, signature) {
      const peer = readPeer(pem, authorities, denyCn);
      if (!peer.ok) return peer;
      if (!verify(digestOf(peer.key), text, peer.key, signature))
        return { ok: false, kind: "bad-signature", detail: `the key of ${peer.cn} has not signed this` };
      seen?.(peer.cn, peer.notAfter);
      return { ok: true, cn: peer.cn };
    },
  };
}

type Peer =
  | { readonly ok: true; readonly cn: string; readonly key: KeyObject; readonly notAfter: Date }
  | Exclude<Verified, { ok: true }>;

function readPeer(pem: string, authorities: readonly X509Certificate[], denyCn: readonly string[]): Peer {
  let certificates: readonly X509Certificate[];
  try {
    certificates = certificatesIn(pem);
  } catch (error) {
    return refuse(`it cannot be read: ${errorMessage(error)}`);
  }
  const [leaf, ...above] = certificates;
  if (leaf === undefined) return refuse("there is none");
  if (leaf.ca) return refuse("it is the certificate of a CA");
  const name = commonNameOf(leaf.toLegacyObject().subject);
  if (!name.ok) return refuse(`its common name is ${name.kind}`);
  const chain = findChain(leaf, above, authorities);
  if (!chain.ok) return refuse(`${name.cn} was issued by "${chain.at.issuer}", which is not our CA`);
  const time = new Date();
  const stale = chain.path.find(({ validFromDate, validToDate }) => time < validFromDate || time > validToDate);
  if (stale !== undefined) return refuse(`"${stale.subject}" is valid from ${stale.validFrom} to ${stale.validTo}`);
  if (denyCn.includes(name.cn)) return refuse(`CN ${name.cn} is in tls.deny_cn`);
  return { ok: true, cn: name.cn, key: leaf.publicKey, notAfter: leaf.validToDate };
}

function refuse(detail: string): { ok: false; kind: "bad-certificate"; detail: string } {
  return { ok: false, kind: "bad-certificate", detail };
}

/** Ed25519 and Ed448 hash by themselves. */
function digestOf(key: KeyObject): "sha256" | null {
  return key.asymmetricKeyType?.startsWith("ed") ? null : "sha256";
}
