import { expect, test } from "bun:test";
import {
  datagramHeader,
  dataHeader,
  FrameReader,
  type FrameSink,
  finFrame,
  type StreamFault,
  windowFrame,
} from "../../../../src/core/streams/frame.ts";
import { concat, hex, utf8 } from "../../../bytes.ts";

/** Writes down what it hears, and finds fault with nothing. */
function recorder() {
  const heard: string[] = [];
  const sink: FrameSink = {
    dataBegins: (length) => void heard.push(`data of ${length}`),
    data: (bytes) => void heard.push(new TextDecoder().decode(bytes)),
    window: (bytes) => void heard.push(`window ${bytes}`),
    fin: () => void heard.push("fin"),
    datagram: (payload) => void heard.push(`datagram ${new TextDecoder().decode(payload)}`),
  };
  return { heard, reader: new FrameReader(sink) };
}

const everyKind = concat([
  dataHeader(5),
  utf8("hello"),
  windowFrame(70_000),
  datagramHeader(3),
  utf8("udp"),
  datagramHeader(0),
  dataHeader(1),
  utf8("!"),
  finFrame(),
]);

test("the wire: type, value, bytes", () => {
  expect(dataHeader(0x01_0203)).toEqual(hex("01 00010203"));
  expect(windowFrame(0xfeff_ffff)).toEqual(hex("02 feffffff"));
  expect(finFrame()).toEqual(hex("03 00000000"));
  expect(datagramHeader(65_535)).toEqual(hex("04 0000ffff"));
});

test("frames of one piece", () => {
  const { heard, reader } = recorder();
  expect(reader.feed(everyKind)).toBeUndefined();
  expect(heard).toEqual(["data of 5", "hello", "window 70000", "datagram udp", "datagram ", "data of 1", "!", "fin"]);
});

test("frames cut between any two bytes", () => {
  const { heard, reader } = recorder();
  for (const byte of everyKind) expect(reader.feed(Uint8Array.of(byte))).toBeUndefined();
  const letters = [..."hello"];
  expect(heard).toEqual([
    "data of 5",
    ...letters,
    "window 70000",
    "datagram udp",
    "datagram ",
    "data of 1",
    "!",
    "fin",
  ]);
});

test("data is not copied, a datagram is", () => {
  const chunk = concat([dataHeader(2), utf8("ab"), datagramHeader(2), utf8("cd")]);
  const seen: Uint8Array[] = [];
  const sink: FrameSink = {
    dataBegins: () => undefined,
    data: (bytes) => void seen.push(bytes),
    window: () => undefined,
    fin: () => undefined,
    datagram: (payload) => void seen.push(payload),
  };
  new FrameReader(sink).feed(chunk);
  expect(seen.map(({ buffer }) => buffer === chunk.buffer)).toEqual([true, false]);
});

test.each<[string, string, StreamFault]>([
  ["a type that there is not", "05 00000000", "unknown_frame"],
  ["type 0", "00 00000001", "unknown_frame"],
  ["DATA of nothing", "01 00000000", "bad_length"],
  ["WINDOW of nothing", "02 00000000", "bad_length"],
  ["FIN with a value", "03 00000001", "bad_length"],
  ["a datagram that is none", "04 00010000", "bad_length"],
  ["a datagram of 4 GiB", "04 ffffffff", "bad_length"],
])("%s", (_what, bytes, fault) => {
  const { heard, reader } = recorder();
  expect(reader.feed(hex(bytes))).toBe(fault);
  expect(heard).toEqual([]);
});

test("what the sink finds fault with ends the reading", () => {
  const heard: number[] = [];
  const sink: FrameSink = {
    dataBegins: (length) => {
      heard.push(length);
      return "over_credit";
    },
    data: () => heard.push(-1),
    window: () => undefined,
    fin: () => undefined,
    datagram: () => undefined,
  };
  expect(new FrameReader(sink).feed(concat([dataHeader(2 ** 32 - 1), utf8("more"), dataHeader(1)]))).toBe(
    "over_credit",
  );
  expect(heard).toEqual([2 ** 32 - 1]);
});
