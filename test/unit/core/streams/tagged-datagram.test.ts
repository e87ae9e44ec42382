import { expect, test } from "bun:test";
import { decodeTagged, encodeTagged } from "../../../../src/core/streams/tagged-datagram.ts";
import { hex } from "../../../bytes.ts";

test("the stream's number, then the datagram", () => {
  expect(encodeTagged({ stream: 0x0102_0304, payload: hex("aabb") })).toEqual(hex("01020304 aabb"));
  expect(decodeTagged(hex("ffffffff"))).toEqual({ stream: 2 ** 32 - 1, payload: hex("") });
  expect(decodeTagged(hex("010203"))).toBeUndefined();
});
