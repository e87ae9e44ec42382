import { describe, expect, test } from "bun:test";
import {
  encodeChannelData,
  encodeCtrl,
  encodeData,
  encodeHeader,
  FLAG_SEQ,
  type FrameErrorKind,
  MAX_PDU_BYTES,
  PduDecoder,
  TYPE_CTRL,
  TYPE_DATA,
} from "../../../../src/core/wire/pdu.ts";
import { concat, hex, utf8 } from "../../../bytes.ts";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly channel: number;
  readonly payload: string;
}

/** Everything a decoder says of `chunks`, with payloads read only behind the chunk that completed them. */
function decode(chunks: readonly Uint8Array[], maxCtrlBytes = 100): { pdus: Seen[]; end: string; partial: boolean } {
  const decoder = new PduDecoder({ maxCtrlBytes });
  const pdus: Seen[] = [];
  let end = "";
  for (const chunk of chunks) {
    const views: { view: Uint8Array; seen: Omit<Seen, "payload"> }[] = [];
    decoder.feed(chunk);
    let found = decoder.next();
    for (; found === "pdu"; found = decoder.next()) {
      const { type, flags, seq, channel } = decoder;
      views.push({ view: decoder.payload, seen: { type, flags, seq, channel } });
    }
    // The contract of `payload`: valid until the next feed, so it is read as late as that.
    for (const { view, seen } of views) pdus.push({ ...seen, payload: Buffer.from(view).toString("hex") });
    end = found === "error" ? (decoder.error ?? "error without a kind") : found;
  }
  return { pdus, end, partial: decoder.partial };
}

function data(payload: string, prefix: { seq?: number; channel?: number } = {}): Seen {
  const { seq = -1, channel = -1 } = prefix;
  return { type: 0x01, flags: seq >= 0 ? 1 : channel >= 0 ? 2 : 0, seq, channel, payload };
}

function encoded(write: (into: Uint8Array) => number): string {
  const into = new Uint8Array(MAX_PDU_BYTES + 2);
  const end = write(into);
  expect(into.subarray(end)).toEqual(new Uint8Array(into.length - end));
  return Buffer.from(into.subarray(0, end)).toString("hex");
}

describe("encode", () => {
  test("plain DATA", () => {
    expect(encoded((into) => encodeData(into, 0, hex("cafe"), -1))).toBe("555401010000000002cafe");
  });

  test("DATA with a sequence number, up to the last one before the wrap", () => {
    expect(encoded((into) => encodeData(into, 0, hex("cafe"), 0x01020304))).toBe("55540101010000000601020304cafe");
    expect(encoded((into) => encodeData(into, 0, hex("cafe"), 0xffff_ffff))).toBe("555401010100000006ffffffffcafe");
    expect(encoded((into) => encodeData(into, 0, hex(""), 0))).toBe("55540101010000000400000000");
  });

  test("DATA with CHANNEL: the number first", () => {
    const data = encoded((into) => encodeChannelData(into, 0, hex("cafe"), 0x8102_0304));
    expect(data).toBe("55540101020000000681020304cafe");
  });

  test("a datagram of zero bytes, and one behind another", () => {
    expect(encoded((into) => encodeData(into, encodeData(into, 0, hex(""), -1), hex("ab"), -1))).toBe(
      "555401010000000000555401010000000001ab",
    );
  });

  test("CTRL", () => {
    expect(encoded((into) => encodeCtrl(into, 0, utf8("{}")))).toBe("5554011000000000027b7d");
  });

  test("the largest payload", () => {
    const into = new Uint8Array(MAX_PDU_BYTES);
    expect(encodeData(into, 0, new Uint8Array(65_535).fill(0xaa), -1)).toBe(MAX_PDU_BYTES);
    expect(Buffer.from(into.subarray(0, 10)).toString("hex")).toBe("55540101000000ffffaa");
    expect(encodeData(into, 0, new Uint8Array(65_531).fill(0xaa), 7)).toBe(MAX_PDU_BYTES);
    expect(Buffer.from(into.subarray(0, 14)).toString("hex")).toBe("55540101010000ffff00000007aa");
  });

  test("encoders write where they are told", () => {
    const into = new Uint8Array(14);
    expect(encodeData(into, 3, hex("01"), -1)).toBe(13);
    encodeHeader(into, 3, TYPE_CTRL, 0xff, 0x01020304);
    expect(Buffer.from(into).toString("hex")).toBe("000000555401" + "10ff010203040100");
  });
});

/** One of everything, as bytes written by hand, and what they mean. */
const STREAM = hex(`
  5554 01 01 00 00000002 cafe
  5554 01 01 01 00000006 ffffffff beef
  5554 01 10 00 00000002 7b7d
  5554 01 01 02 00000005 00000007 aa
  5554 01 01 00 00000000
  5554 01 01 01 00000004 00000000
  5554 01 01 00 00000009 555401010000000000
`);
const MEANING: Seen[] = [
  data("cafe"),
  data("beef", { seq: 0xffff_ffff }),
  { type: 0x10, flags: 0, seq: -1, channel: -1, payload: "7b7d" },
  data("aa", { channel: 7 }),
  data(""),
  data("", { seq: 0 }),
  data("555401010000000000"),
];

describe("decode", () => {
  test("several PDUs stuck together in one chunk", () => {
    expect(decode([STREAM])).toEqual({ pdus: MEANING, end: "need-more", partial: false });
  });

  test("the same bytes cut in two at every position", () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      const got = decode([STREAM.subarray(0, cut), STREAM.subarray(cut)]);
      expect({ cut, ...got }).toEqual({ cut, pdus: MEANING, end: "need-more", partial: false });
    }
  });

  test("the same bytes cut in three at every pair of positions", () => {
    for (let first = 0; first <= STREAM.length; first++) {
      for (let second = first; second <= STREAM.length; second++) {
        const got = decode([STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)]);
        // Asserting each of 3,000 splits in full would cost a second.
        if (JSON.stringify(got.pdus) !== JSON.stringify(MEANING))
          expect({ first, second, pdus: got.pdus }).toEqual({ first, second, pdus: MEANING });
      }
    }
  });

  test("one byte at a time, and empty chunks in between", () => {
    const bytes = Array.from(STREAM, (byte) => Uint8Array.of(byte));
    expect(decode(bytes)).toEqual({ pdus: MEANING, end: "need-more", partial: false });
    expect(decode(bytes.flatMap((byte) => [byte, hex("")]))).toEqual({
      pdus: MEANING,
      end: "need-more",
      partial: false,
    });
  });

  test("a stream that ends early says so, at every position", () => {
    const pdu = hex("5554 01 01 01 00000006 00000001 beef");
    for (let length = 0; length < pdu.length; length++) {
      const got = decode([pdu.subarray(0, length)]);
      expect({ length, ...got }).toEqual({ length, pdus: [], end: "need-more", partial: length > 0 });
    }
  });

  test("a payload that was cut in two stays whole while the rest of its chunk is read", () => {
    // Regression: the rest of the chunk was kept in the buffer that the payload still pointed into.
    const long = "aa".repeat(40);
    const first = hex(`5554 01 01 00 00000028 ${long}`);
    const second = hex(`5554 01 01 00 00000028 ${"bb".repeat(40)}`);
    const both = concat([first, second]);
    expect(decode([both.subarray(0, 20), both.subarray(20, 80), both.subarray(80)]).pdus).toEqual([
      data(long),
      data("bb".repeat(40)),
    ]);
  });

  test("the largest PDU, whole and cut", () => {
    const into = new Uint8Array(MAX_PDU_BYTES);
    encodeData(into, 0, new Uint8Array(65_535).fill(0x5a), -1);
    const whole = { pdus: [data("5a".repeat(65_535))], end: "need-more", partial: false };
    expect(decode([into])).toEqual(whole);
    for (const cut of [1, 8, 9, 10, 65_543]) expect(decode([into.subarray(0, cut), into.subarray(cut)])).toEqual(whole);
  });

  test("a whole PDU is a view into the chunk, not a copy", () => {
    const decoder = new PduDecoder({ maxCtrlBytes: 100 });
    const chunk = hex("5554 01 01 00 00000002 cafe");
    decoder.feed(chunk);
    expect(decoder.next()).toBe("pdu");
    expect(decoder.payload.buffer).toBe(chunk.buffer);
    expect(decoder.payload.byteOffset).toBe(9);
  });

  test("a chunk that has been read is not held on to", () => {
    const decoder = new PduDecoder({ maxCtrlBytes: 100 });
    for (const chunk of ["5554 01 01 00 00000002 cafe", "5554 01 01 00 00000002 cafe 5554", "01 01 00 00000002"]) {
      decoder.feed(hex(chunk));
      while (decoder.next() === "pdu");
      expect(decoder.payload).toEqual(new Uint8Array(0));
    }
  });
});

describe("hostile bytes", () => {
  const bad: [string, string, FrameErrorKind][] = [
    ["first byte of the magic", "5454 01 01 00 00000001 aa", "bad_magic"],
    ["second byte of the magic", "5555 01 01 00 00000001 aa", "bad_magic"],
    ["version", "5554 02 01 00 00000001 aa", "bad_version"],
    ["type", "5554 01 02 00 00000001 aa", "bad_type"],
    ["type zero", "5554 01 00 00 00000001 aa", "bad_type"],
    ["an unknown flag", "5554 01 01 04 00000005 00000000 aa", "bad_flags"],
    ["all flags", "5554 01 01 ff 00000005 00000000 aa", "bad_flags"],
    ["SEQ and CHANNEL together", "5554 01 01 03 00000005 00000000 aa", "bad_flags"],
    ["a flag on CTRL", "5554 01 10 01 00000005 00000000 aa", "bad_flags"],
    ["SEQ without room for a number", "5554 01 01 01 00000003 000000", "bad_length"],
    ["CHANNEL without room for an id", "5554 01 01 02 00000000", "bad_length"],
    ["one byte too long", "5554 01 01 00 00010000", "bad_length"],
    ["as long as a u32 can say", "5554 01 01 00 ffffffff", "bad_length"],
    ["a negative length, if it were signed", "5554 01 01 00 80000000", "bad_length"],
    ["CTRL one byte over its limit", "5554 01 10 00 00000065", "ctrl_too_large"],
    ["TLS spoken to the wrong port", "16030100c8010000c4", "bad_magic"],
    ["HTTP spoken to the wrong port", "474554202f20", "bad_magic"],
  ];

  for (const [what, bytes, kind] of bad) {
    test(`${what} is ${kind}, whatever stood before it and however it is cut`, () => {
      const good = hex("5554 01 01 00 00000002 cafe");
      const all = concat([good, hex(bytes), good]);
      for (let cut = 0; cut <= all.length; cut++) {
        const got = decode([all.subarray(0, cut), all.subarray(cut), good]);
        expect({ cut, ...got }).toEqual({ cut, pdus: [data("cafe")], end: kind, partial: false });
      }
    });
  }

  test("a wrong byte is an error as soon as it is there", () => {
    expect(decode([hex("54")]).end).toBe("bad_magic");
    expect(decode([hex("55"), hex("55")]).end).toBe("bad_magic");
    expect(decode([hex("5554"), hex("02")]).end).toBe("bad_version");
    expect(decode([hex("5554"), hex("01"), hex("03")]).end).toBe("bad_type");
    expect(decode([hex("5554 01 01 00 ffff"), hex("ffff")]).end).toBe("bad_length");
    expect(decode([hex("5554 01 10"), hex("01")]).end).toBe("bad_flags");
    expect(decode([hex("5554 01 01 04")]).end).toBe("bad_flags");
    expect(decode([hex("5554 01 01 01 00000003")]).end).toBe("bad_length");
  });

  test("CTRL at its limit passes", () => {
    const got = decode([hex(`5554 01 10 00 00000064 ${"20".repeat(100)}`)]);
    expect(got).toEqual({
      pdus: [{ type: TYPE_CTRL, flags: 0, seq: -1, channel: -1, payload: "20".repeat(100) }],
      end: "need-more",
      partial: false,
    });
  });

  test("an error is for good: nothing behind it is ever decoded", () => {
    const decoder = new PduDecoder({ maxCtrlBytes: 100 });
    decoder.feed(hex("00"));
    expect([decoder.next(), decoder.next()]).toEqual(["error", "error"]);
    decoder.feed(hex("5554 01 01 00 00000000"));
    expect([decoder.next(), decoder.error]).toEqual(["error", "bad_magic"]);
  });

  test("constants of the wire have not moved", () => {
    expect([TYPE_DATA, TYPE_CTRL, FLAG_SEQ, MAX_PDU_BYTES]).toEqual([0x01, 0x10, 0x01, 65_544]);
  });
});
