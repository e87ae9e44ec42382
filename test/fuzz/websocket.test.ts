import { expect, test } from "bun:test";
import { HeadReader, parseRequest, parseResponse } from "../../src/core/http/head.ts";
import { FrameReader } from "../../src/core/websocket/frame-reader.ts";
import { FrameWriter } from "../../src/core/websocket/frame-writer.ts";
import { OPCODE } from "../../src/core/websocket/protocol.ts";
import { concat } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { type FramesRead, referenceFrames } from "./websocket-reference.ts";

/** WebSocket frames: the reader against one that sees everything at once, the writer against the reader. */

const CONTROLS: Record<string, number> = { ping: 9, pong: 10, close: 8 };

function read(bytes: Uint8Array, cuts: readonly number[], fromClient: boolean): FramesRead {
  const reader = new FrameReader(fromClient);
  let said = "";
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const chunk = bytes.slice(from, to);
    from = to;
    reader.feed(chunk);
    for (let event = reader.next(); event !== "need-more"; event = reader.next()) {
      if (event === "error") return { said, error: reader.error };
      const payload = Buffer.from(reader.payload).toString("hex");
      said += event === "data" ? payload : `<${CONTROLS[event]}:${payload}>`;
    }
    chunk.fill(0xee);
  }
  return { said, error: undefined };
}

/** Mostly a frame that may stand there; now and then one that may not. */
function frame(random: Random, fromClient: boolean, inMessage: boolean): Uint8Array {
  const isControl = random.oneIn(4);
  const opcode = isControl ? random.pick([8, 9, 10]) : inMessage ? 0 : 2;
  const first = random.oneIn(60) ? random.below(256) : (isControl || random.oneIn(2) ? 0x80 : 0) | opcode;
  const longest = isControl ? 125 : random.pick([0, 5, 130, 130, 1_500, 1_500, random.oneIn(6) ? 70_000 : 5]);
  const payload = random.bytes(random.between(0, longest));
  if (opcode === 8 && payload.length >= 2 && !random.oneIn(5)) payload.set([3, 0xe8]);
  const isMasked = random.oneIn(80) ? !fromClient : fromClient;
  return concat([Uint8Array.of(first), lengthOf(random, payload.length, isMasked), maskOf(random, isMasked, payload)]);
}

function lengthOf(random: Random, length: number, isMasked: boolean): Uint8Array {
  const mask = isMasked ? 0x80 : 0;
  const isLong = random.oneIn(80);
  if (length < 126 && !isLong) return Uint8Array.of(mask | length);
  if (length < 65_536 && !isLong) return Uint8Array.of(mask | 126, length >> 8, length & 0xff);
  const high = random.oneIn(4) ? random.below(256) : 0;
  return Uint8Array.of(mask | 127, high, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

function maskOf(random: Random, isMasked: boolean, payload: Uint8Array): Uint8Array {
  if (!isMasked) return payload;
  const key = random.bytes(4);
  return concat([key, payload.map((byte, i) => byte ^ (key[i % 4] ?? 0))]);
}

function cutsOf(random: Random, length: number): number[] {
  if (length < 300 && random.oneIn(5)) return Array.from({ length }, (_, i) => i);
  const cuts = Array.from({ length: random.below(12) }, () => random.below(length + 1));
  return cuts.sort((a, b) => a - b);
}

test(
  "any frames in any split mean what they mean as a whole",
  () => {
    for (const seed of fuzzSeeds("websocket reader", 3_000)) {
      const random = new Random(seed);
      const fromClient = random.oneIn(2);
      const frames: Uint8Array[] = [];
      let inMessage = false;
      for (let i = random.below(10); i > 0; i--) {
        const next = frame(random, fromClient, inMessage);
        frames.push(next);
        if (((next[0] ?? 0) & 0x08) === 0) inMessage = ((next[0] ?? 0) & 0x80) === 0;
      }
      const whole = concat(frames);
      const bytes = random.oneIn(4) ? whole.subarray(0, random.below(whole.length + 1)) : whole;
      const cuts = cutsOf(random, bytes.length);
      const got = read(bytes, cuts, fromClient);
      const expected = referenceFrames(bytes, fromClient);
      if (!Bun.deepEquals(got, expected)) expect({ seed, cuts, got }).toEqual({ seed, cuts, got: expected });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "what is written through a socket that takes as little as it likes is read again, with pongs in between",
  () => {
    for (const seed of fuzzSeeds("websocket writer", 500)) {
      const random = new Random(seed);
      const fromClient = random.oneIn(2);
      const writer = new FrameWriter(fromClient ? (length) => random.bytes(length) : undefined);
      const stream = random.bytes(random.between(1, random.pick([10, 300, 300, 20_000])));
      const wire: Uint8Array[] = [];
      let taken = 0;
      while (taken < stream.length || writer.hasAhead) {
        if (random.oneIn(6)) writer.control(OPCODE.pong, random.bytes(random.below(126)));
        // More may have been put behind what is being sent, and never less.
        const end = writer.isInFrame ? stream.length : random.between(taken, stream.length);
        writer.put(stream, taken, end);
        const some = random.oneIn(3) ? writer.length : random.below(writer.length + 1);
        wire.push(writer.out.slice(0, some));
        taken += writer.wrote(some);
      }
      const bytes = concat(wire);
      const got = read(bytes, cutsOf(random, bytes.length), fromClient);
      const expected = { stream: Buffer.from(stream).toString("hex"), error: undefined };
      const plain = { stream: got.said.replaceAll(/<[^>]*>/g, ""), error: got.error };
      if (!Bun.deepEquals(plain, expected)) expect({ seed, ...plain }).toEqual({ seed, ...expected });
    }
  },
  SLOW_MACHINE_MS,
);

test("any bytes as a head are refused, unfinished or understood, within the bound", () => {
  for (const seed of fuzzSeeds("http head", 3_000)) {
    const random = new Random(seed);
    const line = random.pick(["GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "\r\n", ""]);
    const noise = random.bytes(random.below(60)).map((byte) => (random.oneIn(40) ? byte : 0x20 + (byte % 0x5f)));
    const bytes = concat([
      new TextEncoder().encode(line),
      noise,
      new TextEncoder().encode(random.pick(["\r\n\r\n", ""])),
    ]);
    const cuts = cutsOf(random, bytes.length);
    const readings = [cuts, []].map((where) => {
      const reader = new HeadReader(64);
      let from = 0;
      for (const to of [...where, bytes.length]) {
        const reading = reader.feed(bytes.subarray(from, to));
        if (reading.state === "bad") return reading.kind;
        if (reading.state === "whole") return [parseRequest(reading.text), parseResponse(reading.text)];
        from = to;
      }
      return "unfinished";
    });
    if (!Bun.deepEquals(readings[0], readings[1]))
      expect({ seed, got: readings[0] }).toEqual({ seed, got: readings[1] });
  }
});
