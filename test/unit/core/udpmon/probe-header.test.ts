import { expect, test } from "bun:test";
import { decodeProbe, encodeProbe, HEADER_BYTES, MAX_PROBE_BYTES } from "../../../../src/core/udpmon/probe-header.ts";
import { hex } from "../../../bytes.ts";

test("a probe is its number, its time, and zeros", () => {
  const probe = encodeProbe({ seq: 258n, ns: 0x0102_0304_0506_0708n, isAnswer: false }, 20);
  expect(probe).toEqual(hex("0000000000000102 0102030405060708 00000000"));
  expect(decodeProbe(probe)).toEqual({ ok: true, seq: 258n, ns: 0x0102_0304_0506_0708n, isAnswer: false });
});

test("an answer is the same with the top bit set", () => {
  const answer = encodeProbe({ seq: 258n, ns: 1n, isAnswer: true }, HEADER_BYTES);
  expect(answer).toEqual(hex("8000000000000102 0000000000000001"));
  expect(decodeProbe(answer)).toEqual({ ok: true, seq: 258n, ns: 1n, isAnswer: true });
});

test("what is no probe is told by its length", () => {
  expect(decodeProbe(new Uint8Array(0))).toEqual({ ok: false, kind: "too-short" });
  expect(decodeProbe(new Uint8Array(HEADER_BYTES - 1))).toEqual({ ok: false, kind: "too-short" });
  expect(decodeProbe(new Uint8Array(MAX_PROBE_BYTES + 1))).toEqual({ ok: false, kind: "too-long" });
});
