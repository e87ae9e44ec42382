import { describe, expect, test } from "bun:test";
import { longTermKey, shortTermKey, userhash, verifyIntegrity } from "../../../../src/core/stun/integrity.ts";
import {
  BINDING,
  type DecodedStun,
  decodeStun,
  encodeStun,
  looksLikeStun,
  type StunMessage,
  transactionIdOf,
} from "../../../../src/core/stun/message.ts";
import { concat, hex, utf8 } from "../../../bytes.ts";

const ID = "0102030405060708090a0b0c";
const KEY = shortTermKey("secret");
const PLAIN: StunMessage = { class: "request", method: BINDING, transactionId: ID, attributes: {} };

/** A Binding success with these attributes, given as hex. */
function withAttributes(...attributes: string[]): Uint8Array {
  const body = hex(attributes.join(""));
  const length = body.length.toString(16).padStart(4, "0");
  return concat([hex(`0101 ${length} 2112a442 ${ID}`), body]);
}

function attributesOf(bytes: Uint8Array): unknown {
  const decoded = decodeStun(bytes);
  return decoded.ok ? decoded.message.attributes : decoded.kind;
}

/** What one message says with more behind its integrity attribute, whose length is right for all of it. */
function appended(bytes: Uint8Array, ...attributes: string[]): Uint8Array {
  const longer = concat([bytes, hex(attributes.join(""))]);
  new DataView(longer.buffer).setUint16(2, longer.length - 20);
  return longer;
}

describe("a header", () => {
  test.each([
    ["request", 0x001, "0001"],
    ["indication", 0x001, "0011"],
    ["success", 0x001, "0101"],
    ["error", 0x001, "0111"],
    ["request", 0x003, "0003"],
    ["error", 0xfff, "3fff"],
    ["request", 0x080, "0200"],
    ["success", 0x010, "0120"],
  ] as const)("of class %s and method %d begins with %s (RFC 8489 §5)", (kind, method, type) => {
    const message: StunMessage = { ...PLAIN, class: kind, method };
    const bytes = encodeStun(message);
    expect(bytes).toEqual(hex(`${type} 0000 2112a442 ${ID}`));
    expect(decodeStun(bytes)).toMatchObject({ ok: true, message });
  });

  test.each([
    ["nothing", "", "not_stun"],
    ["the first bits of another protocol", `4001 0000 2112a442 ${ID}`, "not_stun"],
    ["another cookie", `0001 0000 2112a443 ${ID}`, "not_stun"],
    ["half a transaction id", "0001 0000 2112a442 010203040506", "truncated"],
    ["less than its length", `0001 0004 2112a442 ${ID}`, "truncated"],
    ["more than its length", `0001 0000 2112a442 ${ID} 00000000`, "bad_length"],
    ["a length that is no multiple of four", `0001 0002 2112a442 ${ID} 0000`, "bad_length"],
  ])("with %s is no message", (_what, bytes, kind) => {
    expect(decodeStun(hex(bytes))).toEqual({ ok: false, kind } as DecodedStun);
  });

  test("tells STUN from other traffic, and its transaction, before anything is decoded", () => {
    const broken = hex(`0001 0004 2112a442 ${ID} ff`);
    expect([looksLikeStun(broken), transactionIdOf(broken)]).toEqual([true, ID]);
    const short = hex("0001 0004 2112a442");
    expect([looksLikeStun(short), transactionIdOf(short)]).toEqual([true, undefined]);
    for (const other of ["", "d0", "40010000 2112a442", "00010000 00000000", "01000000 a1b2c3d4"])
      expect([looksLikeStun(hex(other)), transactionIdOf(hex(other))]).toEqual([false, undefined]);
  });
});

test("every truncation of a message is none", () => {
  const whole = encodeStun(
    { ...PLAIN, attributes: { username: "somebody", software: "ut", priority: 7 } },
    { integrity: { key: KEY, algorithm: "sha256" }, fingerprint: true },
  );
  expect(decodeStun(whole).ok).toBe(true);
  for (let length = 0; length < whole.length; length++) {
    const cut = whole.slice(0, length);
    expect({ length, kind: decodeStun(cut) }).toEqual({
      length,
      kind: { ok: false, kind: length < 8 ? "not_stun" : "truncated" },
    });
    // A length to fit makes a shorter message of it, or none; never one with the integrity of the whole.
    if (length < 20) continue;
    new DataView(cut.buffer).setUint16(2, length - 20);
    expect({ length, signed: verifyIntegrity(cut, KEY) }).toEqual({ length, signed: length === whole.length - 8 });
  }
});

describe("attributes", () => {
  test("of one kind: the first counts (RFC 8489 §14)", () => {
    expect(attributesOf(withAttributes("0006 0001 61000000", "0006 0001 62000000"))).toEqual({ username: "a" });
  });

  test("of RFC 3489 are those of RFC 5780, which go first", () => {
    const source = "0004 0008 0001 0d96 cb00710a";
    const changed = "0005 0008 0001 0d97 cb00710b";
    const legacy = {
      responseOrigin: { address: "203.0.113.10", port: 3_478 },
      otherAddress: { address: "203.0.113.11", port: 3_479 },
    };
    expect(attributesOf(withAttributes(source, changed))).toEqual(legacy);
    const other = "802c 0008 0001 0001 c0000201";
    expect(attributesOf(withAttributes(source, changed, other))).toEqual({
      ...legacy,
      otherAddress: { address: "192.0.2.1", port: 1 },
    });
  });

  test("nobody knows are told apart: those that may be ignored are", () => {
    expect(decodeStun(withAttributes("7abc 0002 ffff0000", "fabc 0000", "7abc 0000", "7abd 0000"))).toEqual({
      ok: true,
      message: { ...PLAIN, class: "success" },
      unknownRequired: [0x7abc, 0x7abd],
      integrity: [],
      fingerprint: false,
    });
  });

  test.each([
    [
      "an IPv4-mapped address as the IPv4 one it is",
      `0001 0014 0002 0d96 ${"00".repeat(10)}ffff cb00710a`,
      { mappedAddress: { address: "203.0.113.10", port: 3_478 } },
    ],
    ["RESPONSE-PORT without its padding", "0027 0002 0d960000", { responsePort: 3_478 }],
    ["RESPONSE-PORT with its padding", "0027 0004 0d960000", { responsePort: 3_478 }],
    [
      "flags of CHANGE-REQUEST nobody defined",
      "0003 0004 fffffffd",
      { changeRequest: { changeIp: true, changePort: false } },
    ],
    ["text that begins with a byte order mark", "0006 0004 efbbbf61", { username: "\ufeffa" }],
    [
      "password algorithms with parameters",
      "8002 000e 00010002 abcd0000 00020001 ff00 0000",
      { passwordAlgorithms: [1, 2] },
    ],
    ["an error code with reserved bits", "0009 0004 fffffc14", { errorCode: { code: 420, reason: "" } }],
  ])("read: %s", (_what, attribute, expected) => {
    expect(attributesOf(withAttributes(attribute))).toEqual(expected);
  });

  test.each([
    ["an address of no family", "0001 0008 0003 0d96 cb00710a"],
    ["an IPv4 address with the length of an IPv6 one", `0020 0014 0001 0d96 ${"00".repeat(16)}`],
    ["RFC 3489's address cut short", "0005 0004 0001 0d96"],
    ["a username that is not UTF-8", "0006 0002 c3280000"],
    ["a username longer than any", `0006 0202 ${"61".repeat(516)}`],
    ["an error code of no class", "0009 0004 00000214"],
    ["an error code beyond its class", "0009 0004 00000464"],
    ["half an error code", "0009 0002 00000000"],
    ["half an unknown attribute", "000a 0003 00010200"],
    ["USE-CANDIDATE with a value", "0025 0004 00000000"],
    ["a short priority", "0024 0002 00010000"],
    ["two password algorithms where one belongs", "001d 0008 00010000 00020000"],
    ["a password algorithm longer than its attribute", "001d 0004 00010004"],
    ["a short userhash", "001e 0004 00000000"],
    ["one that reaches beyond the message", "0006 0005 61626364"],
    ["one whose padding reaches beyond the message", "0006 0008 61626364"],
    ["half a header of one", "00060000 0006"],
  ])("malformed: %s", (_what, attribute) => {
    const bytes = withAttributes(attribute);
    expect(attributesOf(bytes)).toBe(bytes.length % 4 === 0 ? "bad_attribute" : "bad_length");
  });

  test("that may be ignored and are malformed are ignored", () => {
    expect(attributesOf(withAttributes("8022 0002 c3280000", "8029 0004 00000000", "802c 0004 00010d96"))).toEqual({});
  });

  test("no message can hold are not written", () => {
    const write = (attributes: StunMessage["attributes"]) => () => encodeStun({ ...PLAIN, attributes });
    expect(write({ mappedAddress: { address: "example.com", port: 1 } })).toThrow(RangeError);
    expect(write({ padding: 65_536 })).toThrow(RangeError);
    expect(write({ padding: 65_530, username: "x".repeat(500) })).toThrow(RangeError);
  });
});

describe("behind an integrity attribute", () => {
  const sha1 = encodeStun({ ...PLAIN, attributes: { username: "a" } }, { integrity: { key: KEY, algorithm: "sha1" } });
  const sha256 = encodeStun(
    { ...PLAIN, attributes: { username: "a" } },
    { integrity: { key: KEY, algorithm: "sha256" } },
  );

  test.each([
    ["SHA-1", sha1],
    ["SHA-256", sha256],
  ])("of %s nothing counts, not even what must be understood (RFC 8489 §14.5, §14.6)", (_which, signed) => {
    const bytes = appended(signed, "0024 0004 00000001", "7abc 0000", "8022 0000", "0006 0001 62000000");
    expect(decodeStun(bytes)).toMatchObject({
      ok: true,
      message: { ...PLAIN, attributes: { username: "a" } },
      unknownRequired: [],
    });
    expect(verifyIntegrity(bytes, KEY)).toBe(true);
  });

  test("the stronger one is not ignored, and is the one that must be right", () => {
    const both = appended(sha1, `001c 0020 ${"00".repeat(32)}`);
    expect(decodeStun(both)).toMatchObject({ ok: true, integrity: ["sha1", "sha256"] });
    expect(verifyIntegrity(both, KEY)).toBe(false);
  });

  test("of SHA-256 the weaker one is ignored", () => {
    const both = appended(sha256, `0008 0014 ${"00".repeat(20)}`);
    expect(decodeStun(both)).toMatchObject({ ok: true, integrity: ["sha256"] });
    expect(verifyIntegrity(both, KEY)).toBe(true);
  });
});

describe("integrity", () => {
  test("of SHA-256 may be cut short to 16 bytes, not further (RFC 8489 §14.6)", () => {
    for (const length of [32, 28, 24, 20, 16, 12, 4, 0]) {
      const header = hex(`0001 ${(length + 4).toString(16).padStart(4, "0")} 2112a442 ${ID}`);
      const mac = new Bun.CryptoHasher("sha256", KEY).update(header).digest();
      const bytes = concat([header, hex(`001c ${length.toString(16).padStart(4, "0")}`), mac.subarray(0, length)]);
      const long = length >= 16;
      expect({ length, ok: decodeStun(bytes).ok, signed: verifyIntegrity(bytes, KEY) }).toEqual({
        length,
        ok: long,
        signed: long,
      });
    }
  });

  test("is false for bytes that are none", () => {
    for (const bytes of ["", "00", `0001 0000 2112a442 ${ID}`, `0001 0004 2112a442 ${ID} 00080000`])
      expect(verifyIntegrity(hex(bytes), KEY)).toBe(false);
  });

  test("of the wrong length makes no message", () => {
    expect(attributesOf(withAttributes("0008 0004 00000000"))).toBe("bad_integrity");
  });

  test("keys: text as OpaqueString has it (RFC 8265 §4.2), MD5 unless told (RFC 8489 §9.2.2)", () => {
    expect(shortTermKey("a\u00a0e\u0301")).toEqual(utf8("a é"));
    const who = { username: "user", realm: "realm", password: "pass" };
    expect(longTermKey(who)).toEqual(hex("8493fbc53ba582fb4c044c456bdc40eb"));
    expect(longTermKey(who, "sha256")).toEqual(
      Uint8Array.from(new Bun.CryptoHasher("sha256").update("user:realm:pass").digest()),
    );
    expect(userhash("user", "realm")).toEqual(
      Uint8Array.from(new Bun.CryptoHasher("sha256").update("user:realm").digest()),
    );
  });
});

describe("a fingerprint", () => {
  const fingerprinted = encodeStun(PLAIN, { fingerprint: true });

  test("that is wrong, not the last or of another length makes no message (RFC 8489 §14.7)", () => {
    const wrong = fingerprinted.slice();
    wrong[27]! ^= 1;
    expect(attributesOf(wrong)).toBe("bad_fingerprint");
    expect(attributesOf(appended(fingerprinted, "8022 0000"))).toBe("bad_fingerprint");
    expect(attributesOf(withAttributes("8028 0002 00000000"))).toBe("bad_fingerprint");
  });
});
