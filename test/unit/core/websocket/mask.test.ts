import { expect, test } from "bun:test";
import { applyMask } from "../../../../src/core/websocket/mask.ts";
import { hex, utf8 } from "../../../bytes.ts";

test("masks as RFC 6455 §5.7 does: Hello", () => {
  const bytes = utf8("Hello");
  applyMask(bytes, 0, 5, hex("37fa213d"), 0);
  expect(bytes).toEqual(hex("7f9f4d5158"));
});

test("means the same wherever bytes begin and end, in memory and in the frame", () => {
  const key = hex("37fa213d");
  for (let offset = 0; offset < 9; offset++)
    for (let length = 0; length < 20; length++)
      for (let phase = 0; phase < 5; phase++) {
        const memory = new Uint8Array(40).fill(0xaa);
        const bytes = memory.subarray(offset, offset + 30);
        applyMask(bytes, 3, 3 + length, key, phase);
        const expected = new Uint8Array(40).fill(0xaa);
        for (let i = 0; i < length; i++) expected[offset + 3 + i] = 0xaa ^ (key[(phase + i) % 4] ?? 0);
        expect({ offset, length, phase, memory }).toEqual({ offset, length, phase, memory: expected });
      }
});
