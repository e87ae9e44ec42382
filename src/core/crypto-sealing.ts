import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from "node:crypto";

/** What sealed pipes need of `node:crypto`: X25519 (RFC 7748), HKDF (RFC 5869), AES-256-GCM (NIST SP 800-38D). */

export const X25519_KEY_BYTES = 32;
export const AES_KEY_BYTES = 32;
export const GCM_NONCE_BYTES = 12;
export const GCM_TAG_BYTES = 16;

/** RFC 8410 §7: everything of a PKCS #8 private key and of a SubjectPublicKeyInfo in front of the 32 bytes of the key. */
const PRIVATE_PREFIX = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20]);
const PUBLIC_PREFIX = Uint8Array.from([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0]);

/** A key pair of X25519. The private half stays in an object that cannot be printed. */
export interface X25519KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

/** @param secret 32 random bytes */
export function x25519KeyPair(secret: Uint8Array): X25519KeyPair {
  const privateKey = createPrivateKey({ key: joined(PRIVATE_PREFIX, secret), format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { publicKey: new Uint8Array(spki.subarray(PUBLIC_PREFIX.length)), privateKey };
}

/** The shared secret, 32 bytes; undefined when the peer's key is none, or one of the few that yield zero. */
export function x25519(pair: X25519KeyPair, peerKey: Uint8Array): Uint8Array | undefined {
  if (peerKey.length !== X25519_KEY_BYTES) return undefined;
  try {
    const publicKey = createPublicKey({ key: joined(PUBLIC_PREFIX, peerKey), format: "der", type: "spki" });
    const secret = new Uint8Array(diffieHellman({ privateKey: pair.privateKey, publicKey }));
    return secret.every((byte) => byte === 0) ? undefined : secret;
  } catch {
    return undefined; // OpenSSL refuses points of small order
  }
}

export function hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, info, length));
}

/** Writes ciphertext and tag (`text.length + 16` bytes) at `offset` of `into`. `nonce` never twice under one key. */
export function sealGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  header: Uint8Array,
  text: Uint8Array,
  into: Uint8Array,
  offset: number,
): void {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(header);
  into.set(cipher.update(text), offset);
  cipher.final();
  into.set(cipher.getAuthTag(), offset + text.length);
}

/**
 * The text of what stands in `packet` from `offset` to its end, or undefined when header, ciphertext or tag are not what
 * was sealed under this key and nonce.
 */
export function openGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  header: Uint8Array,
  packet: Uint8Array,
  offset: number,
): Uint8Array | undefined {
  const end = packet.length - GCM_TAG_BYTES;
  if (end < offset) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: GCM_TAG_BYTES });
  decipher.setAAD(header);
  decipher.setAuthTag(packet.subarray(end));
  const text = decipher.update(packet.subarray(offset, end));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return text;
}

function joined(one: Uint8Array, other: Uint8Array): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}
