import { describe, expect, test } from "bun:test";
import { PASSWORD_ALGORITHM } from "../../../../src/core/stun/attributes.ts";
import { longTermKey, shortTermKey, userhash, verifyIntegrity } from "../../../../src/core/stun/integrity.ts";
import { decodeStun, encodeStun, type StunMessage } from "../../../../src/core/stun/message.ts";
import { readTlvs } from "../../../../src/core/stun/tlv.ts";
import { hex } from "../../../bytes.ts";

/** The published messages: RFC 5769, and RFC 8489 appendix B.1 as its erratum has it. */
const SHORT_TERM = shortTermKey("VOkJxbRl1RmTxUk/WvJxBt");
const USERNAME = "マトリックス";
/** What SASLprep makes of the RFC's password. */
const CREDENTIALS = { username: USERNAME, realm: "example.org", password: "TheMatrIX" };

const SAMPLES: { name: string; message: StunMessage; key: Uint8Array; fingerprint: boolean; sha256?: true }[] = [
  {
    name: "rfc5769-request",
    message: {
      class: "request",
      method: 1,
      transactionId: "b7e7a701bc34d686fa87dfae",
      attributes: {
        software: "STUN test client",
        priority: 0x6e00_01ff,
        iceControlled: 0x932f_f9b1_5126_3b36n,
        username: "evtj:h6vY",
      },
    },
    key: SHORT_TERM,
    fingerprint: true,
  },
  {
    name: "rfc5769-response-ipv4",
    message: {
      class: "success",
      method: 1,
      transactionId: "b7e7a701bc34d686fa87dfae",
      attributes: { software: "test vector", xorMappedAddress: { address: "192.0.2.1", port: 32_853 } },
    },
    key: SHORT_TERM,
    fingerprint: true,
  },
  {
    name: "rfc5769-response-ipv6",
    message: {
      class: "success",
      method: 1,
      transactionId: "b7e7a701bc34d686fa87dfae",
      attributes: {
        software: "test vector",
        xorMappedAddress: { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32_853 },
      },
    },
    key: SHORT_TERM,
    fingerprint: true,
  },
  {
    name: "rfc5769-long-term",
    message: {
      class: "request",
      method: 1,
      transactionId: "78ad3433c6ad72c029da412e",
      attributes: { username: USERNAME, nonce: "f//499k954d6OL34oL9FSTvy64sA", realm: "example.org" },
    },
    key: longTermKey(CREDENTIALS),
    fingerprint: false,
  },
  {
    name: "rfc8489-userhash",
    message: {
      class: "request",
      method: 1,
      transactionId: "78ad3433c6ad72c029da412e",
      attributes: {
        userhash: userhash(USERNAME, "example.org"),
        nonce: "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA",
        realm: "example.org",
        passwordAlgorithm: PASSWORD_ALGORITHM.sha256,
      },
    },
    key: longTermKey(CREDENTIALS, "sha256"),
    fingerprint: false,
    sha256: true,
  },
];

describe.each(SAMPLES)("$name", ({ name, message, key, fingerprint, sha256 }) => {
  const algorithm = sha256 ? "sha256" : "sha1";

  test("decodes to what the RFC says", async () => {
    expect(decodeStun(await vector(name))).toEqual({
      ok: true,
      message,
      unknownRequired: [],
      integrity: [algorithm],
      fingerprint,
    });
  });

  test("was made with this key and no other", async () => {
    const bytes = await vector(name);
    expect(verifyIntegrity(bytes, key)).toBe(true);
    expect(verifyIntegrity(bytes, shortTermKey("another"))).toBe(false);
  });

  test("is what encoding gives, byte for byte", async () => {
    const bytes = await vector(name);
    const encoded = encodeStun(message, { integrity: { key, algorithm }, fingerprint });
    // Three samples pad with spaces, which RFC 8489 §14 has since forbidden; their HMAC and CRC cover the padding.
    const spaces = hasOtherPadding(bytes);
    expect(spaces).toBe(fingerprint);
    expect(spaces ? beforeIntegrity(encoded) : encoded).toEqual(spaces ? zeroPadded(beforeIntegrity(bytes)) : bytes);
    expect(verifyIntegrity(encoded, key)).toBe(true);
  });

  test("with any one bit changed is no message, or says the same: behind the integrity nothing counts", async () => {
    const bytes = await vector(name);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const decoded = decodeStun(changed);
      if (decoded.ok && verifyIntegrity(changed, key)) expect({ bit, ...decoded.message }).toEqual({ bit, ...message });
    }
  });
});

async function vector(name: string): Promise<Uint8Array> {
  return hex((await Bun.file(`test/vectors/stun-${name}.hex`).text()).replaceAll(/#.*/g, ""));
}

function hasOtherPadding(bytes: Uint8Array): boolean {
  return !Bun.deepEquals(zeroPadded(bytes), bytes);
}

function zeroPadded(bytes: Uint8Array): Uint8Array {
  const zeroed = bytes.slice();
  for (const { at, value } of readTlvs(bytes) ?? []) {
    const end = at + 4 + value.length;
    zeroed.fill(0, end, (end + 3) & ~3);
  }
  return zeroed;
}

/** All attributes that the integrity covers. */
function beforeIntegrity(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length - 24 - 8);
}
