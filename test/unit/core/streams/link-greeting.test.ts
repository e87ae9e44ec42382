import { expect, test } from "bun:test";
import {
  decodeHello,
  decodeWelcome,
  encodeHello,
  encodeWelcome,
  isGreeting,
} from "../../../../src/core/streams/link-greeting.ts";
import { hex } from "../../../bytes.ts";

const link = hex("000102030405060708090a0b0c0d0e0f");

test("HELLO and WELCOME, and back", () => {
  expect(encodeHello(link)).toEqual(hex("00 000102030405060708090a0b0c0d0e0f"));
  expect(encodeWelcome({ link, isKnown: true })).toEqual(hex("01 000102030405060708090a0b0c0d0e0f 01"));
  expect(decodeHello(encodeHello(link))).toEqual(link);
  for (const isKnown of [true, false])
    expect(decodeWelcome(encodeWelcome({ link, isKnown }))).toEqual({ link, isKnown });
});

test("nothing that QUIC sends is a greeting: its shortest packet has 21 bytes", () => {
  expect([17, 18, 21, 1_200].map((length) => isGreeting(new Uint8Array(length)))).toEqual([true, true, false, false]);
});

test("what is neither is undefined", () => {
  for (const bytes of [hex(""), hex("00"), encodeWelcome({ link, isKnown: true }), hex("02".repeat(17))])
    expect(decodeHello(bytes)).toBeUndefined();
  for (const bytes of [hex(""), hex("01"), encodeHello(link), hex("02".repeat(18))])
    expect(decodeWelcome(bytes)).toBeUndefined();
});
