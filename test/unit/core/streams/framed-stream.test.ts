import { expect, test } from "bun:test";
import { CreditBudget, FIRST_WINDOW_BYTES } from "../../../../src/core/streams/credit.ts";
import { datagramHeader, dataHeader, finFrame, windowFrame } from "../../../../src/core/streams/frame.ts";
import { FramedStream, SEND_BUFFER_BYTES } from "../../../../src/core/streams/framed-stream.ts";
import { concat, hex, utf8 } from "../../../bytes.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const stream = () => new FramedStream(new CreditBudget());

/** Everything that may leave now. */
function output(from: FramedStream, maxBytes = 65_536): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let next = from.pollOutput(maxBytes); next !== undefined; next = from.pollOutput(maxBytes))
    frames.push(concat(next));
  return frames;
}

/** Everything that came in, each piece as it was shown. */
function read(from: FramedStream): string[] {
  const pieces: string[] = [];
  from.read((chunk) => pieces.push(text(chunk)) && chunk.length);
  return pieces;
}

test("what is written waits for nobody, and small pieces leave as one frame", () => {
  const one = stream();
  one.write(utf8("hel"));
  one.write(utf8("lo"));
  one.end();
  expect(output(one)).toEqual([concat([dataHeader(5), utf8("hello")]), finFrame()]);
  one.write(utf8("too late"));
  expect(output(one)).toEqual([]);
});

test("frames are no larger than asked", () => {
  const one = stream();
  one.write(utf8("hello"));
  expect(output(one, 2)).toEqual([
    concat([dataHeader(2), utf8("he")]),
    concat([dataHeader(2), utf8("ll")]),
    concat([dataHeader(1), utf8("o")]),
  ]);
});

test("no more leaves than the other end allows; FIN only behind it all", () => {
  const one = stream();
  one.write(new Uint8Array(FIRST_WINDOW_BYTES + 3));
  one.end();
  expect(output(one, FIRST_WINDOW_BYTES).map(({ length }) => length)).toEqual([5 + FIRST_WINDOW_BYTES]);
  expect(one.receive(windowFrame(2))).toBeUndefined();
  expect(output(one)).toEqual([hex("01 00000002 0000")]);
  expect(one.receive(windowFrame(100))).toBeUndefined();
  expect(output(one)).toEqual([hex("01 00000001 00"), finFrame()]);
});

test("a writer is asked to pause when much waits, and told when little does", () => {
  const one = stream();
  one.write(new Uint8Array(SEND_BUFFER_BYTES));
  expect(one.askRoom()).toBe(true);
  one.write(new Uint8Array(1));
  expect(one.askRoom()).toBe(false);
  expect(one.takeDrained()).toBe(false);
  output(one);
  // All but the first window still waits.
  expect(one.takeDrained()).toBe(false);
  one.receive(windowFrame(SEND_BUFFER_BYTES));
  output(one);
  expect([one.takeDrained(), one.takeDrained()]).toEqual([true, false]);
  expect(one.askRoom()).toBe(true);
});

test("a reader takes what it can: the rest is shown again", () => {
  const one = stream();
  one.receive(concat([dataHeader(5), utf8("hello"), dataHeader(1), utf8("!")]));
  const shown: string[] = [];
  one.read((chunk) => shown.push(text(chunk)) && 2);
  one.read((chunk) => shown.push(text(chunk)) && 0);
  expect(one.waitingBytes).toBe(4);
  expect([...shown, ...read(one)]).toEqual(["hello", "llo", "llo", "!"]);
  expect(one.waitingBytes).toBe(0);
});

test("reading lets the sender go on, before anything of our own", () => {
  const one = stream();
  one.write(utf8("mine"));
  one.receive(concat([dataHeader(FIRST_WINDOW_BYTES), new Uint8Array(FIRST_WINDOW_BYTES)]));
  read(one);
  expect(output(one)).toEqual([windowFrame(2 * FIRST_WINDOW_BYTES), concat([dataHeader(4), utf8("mine")])]);
});

test("what waits costs about what it is, in however small pieces it came", () => {
  const one = stream();
  // A byte of data in each kilobyte: as much as the first window allows.
  for (let i = 0; i < FIRST_WINDOW_BYTES; i++)
    one.receive(concat([dataHeader(1), Uint8Array.of(i & 0xff), datagramHeader(1_000), new Uint8Array(1_000)]));
  const kept = new Set<ArrayBufferLike>();
  let at = 0;
  let isRight = true;
  one.read((chunk) => {
    kept.add(chunk.buffer);
    for (const byte of chunk) isRight &&= byte === (at++ & 0xff);
    return chunk.length;
  });
  expect([at, isRight]).toEqual([FIRST_WINDOW_BYTES, true]);
  const bytes = [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(bytes).toBeLessThanOrEqual(2 * FIRST_WINDOW_BYTES);
  expect(kept.size).toBeLessThan(100);
});

test("small and large pieces keep their order, also while some of them is read", () => {
  const one = stream();
  const sizes = [1, 2, 5_000, 3, 3, 700, 4_000, 1, 10_000, 1];
  const sent = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)).map((_, i) => i % 251);
  const received: number[] = [];
  const take = (most: number) =>
    one.read((chunk) => {
      received.push(...chunk.subarray(0, most));
      return Math.min(most, chunk.length);
    });
  let at = 0;
  for (const size of sizes) {
    one.receive(concat([dataHeader(size), sent.subarray(at, at + size)]));
    at += size;
    take(2);
  }
  take(sent.length);
  expect(Uint8Array.from(received)).toEqual(sent);
});

test("half-close: its FIN is heard when all was read, and we write on", () => {
  const one = stream();
  one.receive(concat([dataHeader(2), utf8("ab"), finFrame()]));
  expect([one.hasEnded, one.isComplete]).toEqual([false, false]);
  read(one);
  expect([one.hasEnded, one.isFinished]).toEqual([true, false]);
  one.write(utf8("still here"));
  one.end();
  expect(output(one)).toEqual([concat([dataHeader(10), utf8("still here")]), finFrame()]);
  expect([one.isComplete, one.isFinished]).toEqual([true, true]);
});

test("half-close the other way: our FIN does not end what comes in", () => {
  const one = stream();
  one.end();
  expect(output(one)).toEqual([finFrame()]);
  one.receive(concat([dataHeader(2), utf8("ab")]));
  expect([read(one), one.isFinished]).toEqual([["ab"], false]);
  one.receive(finFrame());
  expect([one.hasEnded, one.isFinished]).toEqual([true, true]);
});

test("complete is not finished: all was said, and not all was read", () => {
  const one = stream();
  one.end();
  output(one);
  one.receive(concat([dataHeader(2), utf8("ab"), finFrame()]));
  expect([one.isComplete, one.isFinished]).toEqual([true, false]);
  read(one);
  expect(one.isFinished).toBe(true);
});

test("datagrams go ahead of data that may not leave, and come out whole", () => {
  const [one, two] = [stream(), stream()];
  one.write(new Uint8Array(FIRST_WINDOW_BYTES + 1));
  output(one);
  expect(one.sendDatagram(utf8("udp"))).toBe(true);
  expect(output(one)).toEqual([concat([datagramHeader(3), utf8("udp")])]);
  two.receive(concat([datagramHeader(3), utf8("udp")]));
  expect([two.pollDatagram(), two.pollDatagram()]).toEqual([utf8("udp"), undefined]);
});

test("datagrams are dropped rather than queued without end, at both ends", () => {
  const [one, two] = [stream(), stream()];
  const sent = Array.from({ length: 10 }, () => one.sendDatagram(new Uint8Array(65_535)));
  expect(sent.filter((isTaken) => isTaken).length).toBe(5);
  expect(one.sendDatagram(new Uint8Array(65_536))).toBe(false);
  for (let i = 0; i < 300; i++) two.receive(datagramHeader(0));
  expect(two.droppedDatagrams).toBe(44);
});

test.each([
  ["DATA beyond its credit", dataHeader(FIRST_WINDOW_BYTES + 1), "over_credit"],
  ["DATA after FIN", concat([finFrame(), dataHeader(1)]), "after_fin"],
  ["FIN after FIN", concat([finFrame(), finFrame()]), "after_fin"],
  ["a datagram after FIN", concat([finFrame(), datagramHeader(0)]), "after_fin"],
  ["WINDOW without end", windowFrame(2 ** 31), "absurd_window"],
  ["no frame at all", utf8("GET / HTTP/1.1\r\n"), "unknown_frame"],
] as const)("the other end's fault: %s", (_what, bytes, fault) => {
  expect(stream().receive(bytes)).toBe(fault);
});

test("WINDOW after FIN is none: we may still be writing", () => {
  const one = stream();
  expect(one.receive(concat([finFrame(), windowFrame(1)]))).toBeUndefined();
});

test("closing forgets what waits and gives the budget back", () => {
  const budget = new CreditBudget();
  const one = new FramedStream(budget);
  one.receive(concat([dataHeader(FIRST_WINDOW_BYTES), new Uint8Array(FIRST_WINDOW_BYTES)]));
  read(one);
  one.write(utf8("mine"));
  one.receive(concat([dataHeader(1), utf8("x")]));
  expect(budget.givenBytes).toBe(FIRST_WINDOW_BYTES);
  one.close();
  expect(budget.givenBytes).toBe(0);
  expect([output(one), read(one)]).toEqual([[], []]);
});
