import { expect, test } from "bun:test";
import { addresseeOf } from "../../../../src/core/ice/addressee.ts";
import { BINDING, encodeStun, type StunClass } from "../../../../src/core/stun/message.ts";

function message(kind: StunClass, username: string | undefined, method = BINDING): Uint8Array {
  const attributes = username === undefined ? {} : { username };
  return encodeStun({ class: kind, method, transactionId: "00".repeat(12), attributes });
}

test.each([
  ["a check", message("request", "ours:theirs"), "ours"],
  ["a user name without a second part", message("request", "ours"), "ours"],
  ["an empty name", message("request", ":theirs"), ""],
  ["no user name", message("request", undefined), undefined],
  ["an answer", message("success", "ours:theirs"), undefined],
  ["an indication", message("indication", "ours:theirs"), undefined],
  ["another method", message("request", "ours:theirs", 0x003), undefined],
  ["a cut message", message("request", "ours:theirs").subarray(0, 30), undefined],
  ["a header only, cut", message("request", undefined).subarray(0, 19), undefined],
  ["no STUN", Uint8Array.of(0, 1, 2, 3), undefined],
  ["nothing", new Uint8Array(), undefined],
])("%s", (_, payload, addressee) => {
  expect(addresseeOf(payload)).toBe(addressee as string);
});
