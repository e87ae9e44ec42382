import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** The one door of core to `node:crypto`: pure functions of bytes, no randomness (that comes in as `RandomBytes`). */

/** 20 bytes. */
export function hmacSha1(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmac("sha1", key, parts);
}

/** 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmac("sha256", key, parts);
}

/** 20 bytes; only where a protocol demands it. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(bytes).digest());
}

/** 16 bytes; only where a protocol demands it. */
export function md5(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("md5").update(bytes).digest());
}

/** 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** Whether both hold the same bytes, in a time that tells nothing about where they differ. */
export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function hmac(algorithm: "sha1" | "sha256", key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac(algorithm, key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}
