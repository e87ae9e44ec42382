import { describe, expect, test } from "bun:test";
import { FrameReader } from "../../../../src/core/websocket/frame-reader.ts";
import type { WebSocketFault } from "../../../../src/core/websocket/protocol.ts";
import { concat, hex } from "../../../bytes.ts";

/** What a reader says of `chunks`: data joined where nothing came between, control frames with their payload. */
function read(chunks: readonly Uint8Array[], isMasked = false): (string | WebSocketFault)[] {
  const reader = new FrameReader(isMasked);
  const said: string[] = [];
  for (const chunk of chunks) {
    reader.feed(chunk.slice());
    for (let event = reader.next(); event !== "need-more"; event = reader.next()) {
      if (event === "error") return [...said, reader.error ?? "error without a name"];
      said.push(`${event} ${Buffer.from(reader.payload).toString("hex")}`.trim());
    }
  }
  return said;
}

const zeros = (length: number) => new Uint8Array(length);

describe("frames of RFC 6455 §5.7", () => {
  test("binary, unmasked and masked", () => {
    expect(read([hex("82 05 48656c6c6f")])).toEqual(["data 48656c6c6f"]);
    expect(read([hex("82 85 37fa213d 7f9f4d5158")], true)).toEqual(["data 48656c6c6f"]);
  });

  test("in fragments, with a ping in between", () => {
    expect(read([hex("02 03 48656c 89 01 41 80 02 6c6f")])).toEqual(["data 48656c", "ping 41", "data 6c6f"]);
  });

  test("ping and its masked pong", () => {
    expect(read([hex("89 05 48656c6c6f")])).toEqual(["ping 48656c6c6f"]);
    expect(read([hex("8a 85 37fa213d 7f9f4d5158")], true)).toEqual(["pong 48656c6c6f"]);
  });

  test("256 bytes and 64 KiB", () => {
    expect(read([concat([hex("82 7e 0100"), zeros(256)])])).toEqual([`data ${"00".repeat(256)}`]);
    expect(read([concat([hex("82 7f 0000000000010000"), zeros(65_536)])])).toEqual([`data ${"00".repeat(65_536)}`]);
  });
});

test("payload is handed on as it comes, with the mask going on where it was cut", () => {
  const frame = hex("82 86 01020304 0103050d0507");
  expect(read([frame.subarray(0, 7), frame.subarray(7, 10), frame.subarray(10)], true)).toEqual([
    "data 00",
    "data 010609",
    "data 0405",
  ]);
});

test("a control frame waits for its last byte", () => {
  const frame = hex("88 05 03e8 627965");
  expect(read([...frame].map((byte) => Uint8Array.of(byte)))).toEqual(["close 03e8627965"]);
});

test("empty frames and messages say nothing", () => {
  expect(read([hex("82 00 02 00 00 00 80 01 41 89 00")])).toEqual(["data 41", "ping"]);
});

test("a message up to a mebibyte, over however many frames", () => {
  const half = concat([hex("7f 0000000000080000"), zeros(524_288)]);
  const first = concat([hex("02"), half]);
  const last = concat([hex("80"), half]);
  expect(read([first, last]).map((event) => event.length)).toEqual([1_048_581, 1_048_581]);
  expect(read([first, hex("00 01 ff 00 7f 0000000000080000")]).at(-1)).toBe("ws_too_large");
  expect(read([hex("82 7f 0000000000100001")])).toEqual(["ws_too_large"]);
  expect(read([hex("82 7f ffffffffffffffff")])).toEqual(["ws_too_large"]);
  // The next message is counted anew.
  expect(read([first, last, first, last])).toHaveLength(4);
});

test.each([
  ["a text frame", "81", "ws_text"],
  ["a text frame in fragments", "01", "ws_text"],
  ["RSV1, an extension nobody agreed on", "c2", "ws_reserved"],
  ["RSV2", "a2", "ws_reserved"],
  ["RSV3 on a ping", "99", "ws_reserved"],
  ["opcode 3", "83", "ws_reserved"],
  ["opcode 7", "87", "ws_reserved"],
  ["opcode b", "8b", "ws_reserved"],
  ["opcode f", "8f", "ws_reserved"],
  ["a fragment without a beginning", "00", "ws_fragment"],
  ["the last one without a beginning", "80", "ws_fragment"],
  ["a ping in fragments", "09", "ws_control"],
  ["a close in fragments", "08", "ws_control"],
  ["a mask from a server", "82 85", "ws_mask"],
  ["a ping of 126 bytes", "89 7e", "ws_control"],
  ["a close of 64 KiB", "88 7f", "ws_control"],
  ["a length of 125 in two bytes", "82 7e 007d", "ws_length"],
  ["a length of 65,535 in eight bytes", "82 7f 000000000000ffff", "ws_length"],
  ["a close of one byte", "88 01 03", "ws_control"],
  ["a close code that means none", "88 02 03ed", "ws_control"],
  ["a close code below 1000", "88 02 03e7", "ws_control"],
  ["a close code of the future", "88 02 07d0", "ws_control"],
] as const)("%s is refused with its last byte", (_name, bytes, fault) => {
  const all = hex(bytes);
  expect(read([all.subarray(0, -1)])).toEqual([]);
  expect(read([all])).toEqual([fault]);
  expect(read([...all].map((byte) => Uint8Array.of(byte)))).toEqual([fault]);
});

test("a client that does not mask", () => expect(read([hex("82 05")], true)).toEqual(["ws_mask"]));

test("a new message within one", () => expect(read([hex("02 01 41 82")])).toEqual(["data 41", "ws_fragment"]));

test.each(["03e8", "03f4", "0bb8", "1387", "03f6"])("a close code that may stand there: %s", (code) =>
  expect(read([concat([hex("88 02"), hex(code)])])).toEqual([`close ${code}`]),
);

test("what comes behind an error is not read", () => {
  const reader = new FrameReader(false);
  reader.feed(hex("81"));
  expect(reader.next()).toBe("error");
  reader.feed(hex("82 01 41"));
  expect([reader.next(), reader.error]).toEqual(["error", "ws_text"]);
});
