import { expect, test } from "bun:test";
import { hkdfSha256, openGcm, sealGcm, x25519, x25519KeyPair } from "../../../src/core/crypto-sealing.ts";
import { concat, hex } from "../../bytes.ts";

test("X25519: RFC 7748 §6.1", () => {
  const bob = x25519KeyPair(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  const alice = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  expect(bob.publicKey).toEqual(hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
  expect(x25519(bob, alice)).toEqual(hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
});

test.each([
  ["too short", hex("01")],
  ["too long", new Uint8Array(33)],
  ["zero", new Uint8Array(32)],
  ["one", Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))],
  ["of order eight", hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")],
])("X25519: a peer's key that is %s yields no secret", (_, key) => {
  expect(x25519(x25519KeyPair(new Uint8Array(32).fill(7)), key)).toBeUndefined();
});

test("HKDF: RFC 5869 A.3", () => {
  expect(hkdfSha256(new Uint8Array(22).fill(0x0b), new Uint8Array(0), "", 42)).toEqual(
    hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
  );
});

/** McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16. */
const key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
const nonce = hex("cafebabefacedbaddecaf888");
const header = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
const text = hex(`d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72
  1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39`);
const sealed = hex(`522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa
  8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b`);

test("AES-256-GCM: test case 16, sealed behind something else and opened", () => {
  const into: Uint8Array = new Uint8Array(4 + sealed.length);
  sealGcm(key, nonce, header, text, into, 4);
  expect(into).toEqual(concat([new Uint8Array(4), sealed]));
  expect(openGcm(key, nonce, header, sealed, 0)).toEqual(text);
  expect(openGcm(key, nonce, header, into, 4)).toEqual(text);
});

test("AES-256-GCM: nothing opens when one bit of anything differs, or an end is missing", () => {
  const flipped = (bytes: Uint8Array, bit: number) =>
    bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  for (let bit = 0; bit < sealed.length * 8; bit++)
    expect(openGcm(key, nonce, header, flipped(sealed, bit), 0)).toBeUndefined();
  for (let bit = 0; bit < header.length * 8; bit++)
    expect(openGcm(key, nonce, flipped(header, bit), sealed, 0)).toBeUndefined();
  expect(openGcm(flipped(key, 3), nonce, header, sealed, 0)).toBeUndefined();
  expect(openGcm(key, flipped(nonce, 3), header, sealed, 0)).toBeUndefined();
  for (let length = 0; length < sealed.length; length++)
    expect(openGcm(key, nonce, header, sealed.subarray(0, length), 0)).toBeUndefined();
});
