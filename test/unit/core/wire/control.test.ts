import { describe, expect, test } from "bun:test";
import {
  type ControlMessage,
  decodeControl,
  encodeControl,
  MAX_CTRL_BYTES,
} from "../../../../src/core/wire/control.ts";
import { hex, utf8 } from "../../../bytes.ts";

const SESSION = "6a0c2b1e-3f4d-4a5b-8c6d-7e8f90a1b2c3";

function decode(value: unknown) {
  return decodeControl(utf8(JSON.stringify(value)));
}

const INVALID = { ok: false, kind: "invalid" } as const;
const HELLO: ControlMessage = {
  type: "hello",
  kind: "lane",
  session_id: SESSION,
  lane_id: 3,
  node: "ut/0.1.0",
  caps: ["seq"],
};
const ACK: ControlMessage = { type: "hello_ack", session_id: SESSION, epoch: 7, caps: ["seq"] };

describe("messages", () => {
  test("hello on the wire", () => {
    expect(new TextDecoder().decode(encodeControl(HELLO))).toBe(
      `{"type":"hello","kind":"lane","session_id":"${SESSION}","lane_id":3,"node":"ut/0.1.0","caps":["seq"]}`,
    );
  });

  for (const message of [
    HELLO,
    { ...HELLO, kind: "control" as const },
    { ...HELLO, session_id: "" },
    { ...HELLO, lane_id: 0, node: "", caps: [] },
    { ...HELLO, lane_id: 31 },
    ACK,
    { ...ACK, epoch: 0, caps: [] },
    { ...ACK, epoch: 0xffff_ffff },
    { ...ACK, time: 1_763_717_376_123 },
    { type: "goodbye" as const, reason: "idle" },
    { type: "err" as const, kind: "bad_magic", message: "the frame began with 16 03" },
  ]) {
    test(`${JSON.stringify(message)} survives the wire`, () => {
      expect(decodeControl(encodeControl(message))).toEqual({ ok: true, message });
    });
  }

  test("what a small peer leaves out has a default", () => {
    expect(decode({ type: "hello", session_id: SESSION, lane_id: 0 })).toEqual({
      ok: true,
      message: { ...HELLO, lane_id: 0, node: "", caps: [] },
    });
    expect(decode({ type: "hello_ack", session_id: "", epoch: 1 })).toEqual({
      ok: true,
      message: { type: "hello_ack", session_id: "", epoch: 1, caps: [] },
    });
    expect(decode({ type: "goodbye" })).toEqual({ ok: true, message: { type: "goodbye", reason: "" } });
    expect(decode({ type: "err", kind: "x" })).toEqual({ ok: true, message: { type: "err", kind: "x", message: "" } });
  });

  test("what a newer peer adds is ignored", () => {
    expect(decode({ ...HELLO, compression: { zstd: 3 }, caps: ["seq", "datagrams-by-pigeon"] })).toEqual({
      ok: true,
      message: { ...HELLO, caps: ["seq", "datagrams-by-pigeon"] },
    });
    expect(decode({ ...ACK, __proto__: { polluted: true }, extra: null })).toEqual({ ok: true, message: ACK });
    expect(decode({ ...ACK, time: "noon" })).toEqual({ ok: true, message: ACK });
    expect(decodeControl(utf8('{"type":"goodbye","__proto__":{"reason":"x"},"constructor":1}'))).toEqual({
      ok: true,
      message: { type: "goodbye", reason: "" },
    });
  });

  test("a type that only a newer peer knows is named, so that it can be logged", () => {
    expect(decode({ type: "lanes_wanted" })).toEqual({ ok: false, kind: "unknown-type", type: "lanes_wanted" });
    expect(decode({ type: "" })).toEqual({ ok: false, kind: "unknown-type", type: "" });
    expect(decode({ type: "__proto__" })).toEqual({ ok: false, kind: "unknown-type", type: "__proto__" });
    expect(decode({ type: "HELLO" })).toEqual({ ok: false, kind: "unknown-type", type: "HELLO" });
    expect(decode({ type: "x".repeat(64) })).toEqual({ ok: false, kind: "unknown-type", type: "x".repeat(64) });
  });
});

describe("field limits", () => {
  const refused: [string, unknown][] = [
    ["hello without session_id", { type: "hello", lane_id: 0 }],
    ["hello without lane_id", { type: "hello", session_id: SESSION }],
    ["hello of an unknown kind", { ...HELLO, kind: "spy" }],
    ["session_id is no UUID", { ...HELLO, session_id: "mine" }],
    ["session_id has a brace", { ...HELLO, session_id: `{${SESSION}}` }],
    ["session_id has a line break behind it", { ...HELLO, session_id: `${SESSION}\n` }],
    ["session_id is a number", { ...HELLO, session_id: 7 }],
    ["session_id is null", { ...HELLO, session_id: null }],
    ["lane_id below 0", { ...HELLO, lane_id: -1 }],
    ["lane_id above 31", { ...HELLO, lane_id: 32 }],
    ["lane_id with a fraction", { ...HELLO, lane_id: 1.5 }],
    ["lane_id as text", { ...HELLO, lane_id: "3" }],
    ["node of 129 characters", { ...HELLO, node: "n".repeat(129) }],
    ["33 caps", { ...HELLO, caps: Array(33).fill("seq") }],
    ["a cap of 33 characters", { ...HELLO, caps: ["c".repeat(33)] }],
    ["a cap that is no text", { ...HELLO, caps: [1] }],
    ["caps as an object", { ...HELLO, caps: { seq: true } }],
    ["epoch below 0", { ...ACK, epoch: -1 }],
    ["epoch over a u32", { ...ACK, epoch: 2 ** 32 }],
    ["epoch with a fraction", { ...ACK, epoch: 0.5 }],
    ["epoch missing", { type: "hello_ack", session_id: SESSION }],
    ["hello_ack for no session", { type: "hello_ack", epoch: 1 }],
    ["reason of 65 characters", { type: "goodbye", reason: "r".repeat(65) }],
    ["reason as a list", { type: "goodbye", reason: [] }],
    ["err without a kind", { type: "err" }],
    ["err kind of 65 characters", { type: "err", kind: "k".repeat(65) }],
    ["err message of 513 characters", { type: "err", kind: "k", message: "m".repeat(513) }],
  ];
  for (const [what, value] of refused) test(`${what} is invalid`, () => expect(decode(value)).toEqual(INVALID));

  test("the longest of everything passes", () => {
    const longest = { ...HELLO, node: "n".repeat(128), caps: Array(32).fill("c".repeat(32)) };
    expect(decode(longest)).toEqual({ ok: true, message: longest });
    const goodbye = { type: "goodbye", reason: "r".repeat(64) } as const;
    expect(decode(goodbye)).toEqual({ ok: true, message: goodbye });
    const err = { type: "err", kind: "k".repeat(64), message: "m".repeat(512) } as const;
    expect(decode(err)).toEqual({ ok: true, message: err });
  });

  test("a number too large for JSON's readers is refused, not rounded", () => {
    expect(decodeControl(utf8(`{"type":"hello_ack","session_id":"","epoch":1e999}`))).toEqual(INVALID);
    expect(decodeControl(utf8(`{"type":"hello","session_id":"","lane_id":1e-999}`)).ok).toBe(true);
  });
});

describe("not a message at all", () => {
  const NOT_JSON = { ok: false, kind: "not-json" } as const;
  const NO_TYPE = { ok: false, kind: "no-type" } as const;

  const cases: [string, Uint8Array, typeof NOT_JSON | typeof NO_TYPE][] = [
    ["nothing", hex(""), NOT_JSON],
    ["a zero byte", hex("00"), NOT_JSON],
    ["half an object", utf8('{"type":"hello"'), NOT_JSON],
    ["two objects", utf8('{"type":"goodbye"}{"type":"goodbye"}'), NOT_JSON],
    ["single quotes", utf8("{'type':'goodbye'}"), NOT_JSON],
    ["UTF-8 cut in two", Uint8Array.of(...utf8('{"type":"goodbye","reason":"'), 0xc3, ...utf8('"}')), NOT_JSON],
    ["an overlong slash", Uint8Array.of(...utf8('{"type":"'), 0xc0, 0xaf, ...utf8('"}')), NOT_JSON],
    ["a lone surrogate in UTF-8", Uint8Array.of(...utf8('{"type":"'), 0xed, 0xa0, 0x80, ...utf8('"}')), NOT_JSON],
    ["UTF-16", Uint8Array.from(Buffer.from('{"type":"goodbye"}', "utf16le")), NOT_JSON],
    ["null", utf8("null"), NO_TYPE],
    ["a number", utf8("1"), NO_TYPE],
    ["text", utf8('"hello"'), NO_TYPE],
    ["a list of messages", utf8('[{"type":"goodbye"}]'), NO_TYPE],
    ["an empty object", utf8("{}"), NO_TYPE],
    ["a type that is no text", utf8('{"type":7}'), NO_TYPE],
    ["a type of 65 characters", utf8(`{"type":"${"x".repeat(65)}"}`), NO_TYPE],
    ["type only in the prototype", utf8('{"__proto__":{"type":"goodbye"}}'), NO_TYPE],
  ];
  for (const [what, bytes, verdict] of cases)
    test(`${what} is ${verdict.kind}`, () => expect(decodeControl(bytes)).toEqual(verdict));

  test("brackets as deep as a message may be long end in a verdict, not in a stack overflow", () => {
    expect(decodeControl(utf8("[".repeat(MAX_CTRL_BYTES))).ok).toBe(false);
    const depth = MAX_CTRL_BYTES / 2 - 16;
    expect(decodeControl(utf8(`{"type":"goodbye","x":${"[".repeat(depth)}${"]".repeat(depth)}}`)).ok).toBeBoolean();
  });

  test("bad bytes leave nothing behind in the text decoder", () => {
    expect(decodeControl(hex("e2 82"))).toEqual(NOT_JSON);
    expect(decodeControl(utf8('{"type":"goodbye","reason":"ünï"}'))).toEqual({
      ok: true,
      message: { type: "goodbye", reason: "ünï" },
    });
  });
});
