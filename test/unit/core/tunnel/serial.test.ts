import { expect, test } from "bun:test";
import { serialDistance, serialNext } from "../../../../src/core/tunnel/serial.ts";

test("RFC 1982 over 32 bits: the shorter way round decides", () => {
  expect(serialDistance(5, 3)).toBe(2);
  expect(serialDistance(3, 5)).toBe(-2);
  expect(serialDistance(7, 7)).toBe(0);
  expect(serialDistance(0, 0xffff_ffff)).toBe(1);
  expect(serialDistance(0xffff_ffff, 0)).toBe(-1);
  expect(serialDistance(0x7fff_ffff, 0)).toBe(0x7fff_ffff);
  expect(serialDistance(0x8000_0001, 0)).toBe(-0x7fff_ffff);
});

test("the next number wraps, and steps go back as well", () => {
  expect(serialNext(0)).toBe(1);
  expect(serialNext(0xffff_ffff)).toBe(0);
  expect(serialNext(0xffff_fffe, 5)).toBe(3);
  expect(serialNext(3, -5)).toBe(0xffff_fffe);
});
