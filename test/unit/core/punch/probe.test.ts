import { describe, expect, test } from "bun:test";
import { hmacSha256 } from "../../../../src/core/crypto.ts";
import {
  MAX_CONTENT_BYTES,
  type ProbeBody,
  type ProbeKind,
  plainCodec,
  tokenCodec,
} from "../../../../src/core/punch/probe.ts";
import { hex, utf8 } from "../../../bytes.ts";

const BODY: ProbeBody = { nonce: 0x0102_0304_0506_0708n, echo: 0xfffe_fdfc_fbfa_f9f8n, number: 312, content: "hé" };
const KINDS: ProbeKind[] = ["probe", "hit", "confirm", "confirmed"];

describe("the wire", () => {
  test("plain, byte for byte", () => {
    expect(plainCodec("nat4").encode("hit", BODY)).toEqual(
      hex("e4553401 01 02 0003 00000138 0102030405060708 fffefdfcfbfaf9f8 68c3a9"),
    );
  });

  test("with a token: the same with a flag, and 16 bytes of HMAC-SHA-256 under a key of its own", () => {
    const covered = hex("e4553401 00 01 0003 00000138 0102030405060708 fffefdfcfbfaf9f8 68c3a9");
    const mac = hmacSha256(hmacSha256(utf8("ut nat4 probe v1"), utf8("secret")), covered).subarray(0, 16);
    expect(tokenCodec("nat3", "secret").encode("probe", BODY)).toEqual(Uint8Array.of(...covered, ...mac));
  });

  test.each(KINDS)("%s comes back as it was, both ways, plain and with a token", (kind) => {
    for (const [one, other] of [
      [plainCodec("nat3"), plainCodec("nat4")],
      [tokenCodec("nat3", "a"), tokenCodec("nat4", "a")],
    ] as const) {
      expect(other.decode(one.encode(kind, BODY))).toEqual({ ok: true, kind, body: BODY });
      expect(one.decode(other.encode(kind, BODY))).toEqual({ ok: true, kind, body: BODY });
    }
  });

  test("the largest numbers and the longest content", () => {
    const nonce = 2n ** 64n - 1n;
    const body: ProbeBody = { nonce, echo: nonce, number: 2 ** 32 - 1, content: "x".repeat(MAX_CONTENT_BYTES) };
    expect(plainCodec("nat4").decode(plainCodec("nat3").encode("probe", body))).toEqual({
      ok: true,
      kind: "probe",
      body,
    });
    expect(() => plainCodec("nat3").encode("probe", { ...body, content: `${body.content}x` })).toThrow(
      "Cannot send 257 bytes of content: 256 is the most",
    );
  });
});

describe("what is not believed", () => {
  const plain = plainCodec("nat3").encode("hit", BODY);
  const sealed = tokenCodec("nat3", "right").encode("hit", BODY);
  const changed = (bytes: Uint8Array, at: number, byte: number) => bytes.with(at, byte);

  test.each([
    ["a STUN request", hex("000100002112a442"), "foreign"],
    ["nothing", new Uint8Array(), "foreign"],
    ["the magic alone", hex("e4553401"), "malformed"],
    ["another version", changed(plain, 3, 2), "foreign"],
    ["an unknown kind", changed(plain, 4, 4), "malformed"],
    ["a byte too few", plain.subarray(0, -1), "malformed"],
    ["a byte too many", Uint8Array.of(...plain, 0), "malformed"],
    ["a longer content than there is", changed(plain, 7, 4), "malformed"],
    ["content that is not UTF-8", changed(plain, 29, 0x20), "malformed"],
    ["a token where there should be none", sealed, "unasked-token"],
    ["one of its own role", plainCodec("nat4").encode("probe", BODY), "own-role"],
  ])("plain: %s", (_, bytes, kind) => {
    expect(plainCodec("nat4").decode(bytes)).toEqual({ ok: false, kind: kind as "foreign" });
  });

  test.each([
    ["no token", plain, "no-token"],
    ["another token", tokenCodec("nat3", "wrong").encode("hit", BODY), "wrong-token"],
    ["its own packet sent back", tokenCodec("nat4", "right").encode("hit", BODY), "own-role"],
    [
      "its own packet sent back in the other's name",
      changed(tokenCodec("nat4", "right").encode("hit", BODY), 5, 1),
      "wrong-token",
    ],
    ["a cut MAC", sealed.subarray(0, -1), "malformed"],
  ])("with a token: %s", (_, bytes, kind) => {
    expect(tokenCodec("nat4", "right").decode(bytes)).toEqual({ ok: false, kind: kind as "foreign" });
  });

  test("with a token: any bit that is not as it was", () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const bytes = changed(sealed, bit >> 3, (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
      expect(tokenCodec("nat4", "right").decode(bytes).ok).toBe(false);
    }
  });
});
