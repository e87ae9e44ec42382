import { expect, test } from "bun:test";
import { decodePipeControl, encodePipeControl, type PipeControl } from "../../../../src/core/pipe/control-message.ts";
import { hex } from "../../../bytes.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

const key = new Uint8Array(32).fill(0xab);
const token = "0123456789abcdef";

const messages: [bytes: string, message: PipeControl][] = [
  [`01${token}`, { type: "challenge", token, padding: 0 }],
  [`01${token}000000`, { type: "challenge", token, padding: 3 }],
  [`02${token}`, { type: "response", token }],
  ["03", { type: "close", reason: "" }],
  ["03 676f6e65", { type: "close", reason: "gone" }],
  [`04 00000007 ${"ab".repeat(32)}`, { type: "rekey", session: 7, key }],
  [`05 fffffffe ${"ab".repeat(32)}`, { type: "rekeyed", session: 0xffff_fffe, key }],
];

test.each(messages)("%s", (bytes, message) => {
  expect(encodePipeControl(message)).toEqual(hex(bytes));
  expect(decodePipeControl(hex(bytes))).toEqual(message);
});

test.each([
  ...["", "00", "06", "ff00", "01", "02", `01${token.slice(2)}`, `02${token.slice(2)}`, `02${token}00`],
  ...["04", "0400000007", `04 00000007 ${"ab".repeat(31)}`, `05 00000007 ${"ab".repeat(33)}`],
])("%p says nothing", (bytes) => expect(decodePipeControl(hex(bytes))).toBeUndefined());

test("a reason is cut to 64 bytes, by whoever writes it and by whoever reads it", () => {
  expect(encodePipeControl({ type: "close", reason: "x".repeat(100) }).length).toBe(65);
  expect(decodePipeControl(hex(`03${"78".repeat(100)}`))).toEqual({ type: "close", reason: "x".repeat(64) });
});

test("any bytes at all are a message or none", () => {
  for (const seed of fuzzSeeds("pipe control", 500)) {
    const random = new Random(seed);
    const bytes = random.bytes(random.below(50));
    bytes[0] = random.below(7);
    const message = decodePipeControl(bytes);
    // Text that is not UTF-8, and padding that is not nothing, are read but not written.
    if (message === undefined || message.type === "close" || message.type === "challenge") continue;
    expect({ seed, bytes: encodePipeControl(message) }).toEqual({ seed, bytes });
  }
});
