import { describe, expect, test } from "bun:test";
import { NO_ADDRESS } from "../../../../src/core/socks/address.ts";
import {
  ExitAnswerReader,
  ExitRequestReader,
  encodeExitAnswer,
  encodeExitRequest,
} from "../../../../src/core/socks/exit-wire.ts";
import { REPLIES, type Reply } from "../../../../src/core/socks/reply.ts";
import { hex } from "../../../bytes.ts";

describe("requests", () => {
  test.each([
    [{ command: "connect", to: { host: "nas.a", port: 443 } }, "0101 03 05 6e61732e61 01bb"],
    [{ command: "connect", to: { host: "8.8.4.4", port: 80 } }, "0101 01 08080404 0050"],
    [{ command: "connect", to: { host: "::1", port: 80 } }, `0101 04 ${"00".repeat(15)}01 0050`],
    [{ command: "udp", to: NO_ADDRESS }, "0103 01 00000000 0000"],
  ] as const)("%j", (request, bytes) => {
    expect(encodeExitRequest(request)).toEqual(hex(bytes));
    const whole = Uint8Array.from([...hex(bytes), 7, 8]);
    for (let cut = 1; cut < hex(bytes).length; cut++) {
      const reader = new ExitRequestReader();
      expect(reader.push(whole.slice(0, cut))).toEqual({ type: "more" });
      expect(reader.push(whole.slice(cut))).toEqual({ type: "message", message: request, rest: Uint8Array.of(7, 8) });
    }
  });

  test.each([
    ["02", "version"],
    ["0102 01 00000000 0000", "command"],
    ["0101 02", "address_type"],
    ["0101 03 00 0050", "name"],
  ] as const)("%s: %s", (bytes, kind) => {
    expect(new ExitRequestReader().push(hex(bytes))).toEqual({ type: "malformed", kind });
  });
});

describe("answers", () => {
  test("each reply comes back as itself", () => {
    const bound = { host: "198.51.100.7", port: 40_000 };
    for (const reply of Object.keys(REPLIES) as Reply[])
      expect(new ExitAnswerReader().push(encodeExitAnswer(reply, bound))).toEqual({
        type: "message",
        message: { reply, bound },
        rest: new Uint8Array(0),
      });
  });

  test("a code of a later version is a failure", () => {
    expect(new ExitAnswerReader().push(hex("0163 01 00000000 0000"))).toMatchObject({
      message: { reply: "general-failure" },
    });
  });
});
