import { describe, expect, test } from "bun:test";
import { FrameWriter } from "../../../../src/core/websocket/frame-writer.ts";
import { OPCODE } from "../../../../src/core/websocket/protocol.ts";
import { concat, hex } from "../../../bytes.ts";

/** A socket that takes `takes` bytes at a time, and what it has got. */
class Wire {
  readonly writer: FrameWriter;
  got = "";

  constructor(random?: (length: number) => Uint8Array) {
    this.writer = new FrameWriter(random);
  }

  /** Returns the payload bytes that were taken. */
  put(bytes: Uint8Array, takes = Number.POSITIVE_INFINITY): number {
    this.writer.put(bytes, 0, bytes.length);
    const taken = Math.min(takes, this.writer.length);
    this.got += Buffer.from(this.writer.out.subarray(0, taken)).toString("hex");
    return this.writer.wrote(taken);
  }
}

const HELLO = new TextEncoder().encode("Hello");
const sameKey = (length: number) => Uint8Array.from({ length }, (_, i) => hex("37fa213d")[i % 4] ?? 0);

describe("a frame", () => {
  test("of a server, as in RFC 6455 §5.7 but for the opcode", () => {
    const wire = new Wire();
    expect([wire.put(HELLO), wire.got]).toEqual([5, "820548656c6c6f"]);
  });

  test("of a client, masked", () => {
    const wire = new Wire(sameKey);
    expect([wire.put(HELLO), wire.got]).toEqual([5, "828537fa213d7f9f4d5158"]);
  });

  test.each([
    [125, "827d"],
    [126, "827e007e"],
    [65_535, "827effff"],
    [65_536, "827f0000000000010000"],
    [1_048_576, "827f0000000000100000"],
  ])("of %d bytes has the shortest header", (length, header) => {
    const wire = new Wire();
    expect(wire.put(new Uint8Array(length))).toBe(length);
    expect([wire.got.length, wire.got.slice(0, header.length)]).toEqual([header.length + 2 * length, header]);
  });

  test("is never longer than what a peer takes: the rest goes into another one", () => {
    const wire = new Wire();
    expect(wire.put(new Uint8Array(1_048_577))).toBe(1_048_576);
    expect(wire.writer.isInFrame).toBe(false);
  });

  test("has a masking key of its own, also when many have been drawn", () => {
    let drawn = 0;
    const wire = new Wire((length) => Uint8Array.from({ length }, () => (drawn++ >> 2) & 0xff));
    for (let i = 0; i < 300; i++) wire.put(Uint8Array.of(0));
    const keys = [...wire.got.matchAll(/8281(.{8})(..)/g)].map(([, key = "", byte]) => [key, byte]);
    expect(keys).toEqual(
      Array.from({ length: 300 }, (_, i) => (i & 0xff).toString(16).padStart(2, "0")).map((byte) => [
        byte.repeat(4),
        byte,
      ]),
    );
  });
});

describe("a socket that takes less", () => {
  test.each([undefined, sameKey])("gets the same bytes in the end, however it is cut", (random) => {
    const whole = new Wire(random);
    whole.put(HELLO);
    for (let first = 0; first < whole.got.length / 2; first++) {
      const wire = new Wire(random);
      let taken = wire.put(HELLO, first);
      expect(taken).toBe(Math.max(0, first - (random === undefined ? 2 : 6)));
      while (taken < 5) taken += wire.put(HELLO.subarray(taken), 1);
      expect(wire.got).toBe(whole.got);
    }
  });

  test("gets what was put behind in a frame of its own", () => {
    const wire = new Wire();
    expect(wire.put(HELLO, 4)).toBe(2);
    expect(wire.writer.isInFrame).toBe(true);
    const more = concat([HELLO.subarray(2), HELLO]);
    expect(wire.put(more)).toBe(3);
    expect(wire.put(more.subarray(3))).toBe(5);
    expect(wire.got).toBe("820548656c6c6f820548656c6c6f");
  });
});

describe("a control frame", () => {
  const NOTHING = new Uint8Array(0);

  test("goes out by itself between frames", () => {
    const wire = new Wire(sameKey);
    wire.writer.control(OPCODE.pong, HELLO);
    expect(wire.writer.hasAhead).toBe(true);
    expect([wire.put(NOTHING), wire.got, wire.writer.hasAhead]).toEqual([0, "8a8537fa213d7f9f4d5158", false]);
  });

  test("goes out in front of the next frame", () => {
    const wire = new Wire();
    wire.writer.control(OPCODE.pong, Uint8Array.of(1));
    expect([wire.put(HELLO), wire.got]).toEqual([5, "8a0101820548656c6c6f"]);
  });

  test("waits for the end of a frame that was begun; the newest one is enough", () => {
    const wire = new Wire();
    wire.put(HELLO, 3);
    wire.writer.control(OPCODE.pong, Uint8Array.of(1));
    wire.writer.control(OPCODE.pong, Uint8Array.of(2));
    expect(wire.writer.hasAhead).toBe(false);
    expect(wire.put(HELLO.subarray(1))).toBe(4);
    expect(wire.writer.hasAhead).toBe(true);
    wire.put(NOTHING);
    expect(wire.got).toBe("820548656c6c6f8a0102");
  });

  test("of a peer that only pings and reads nothing takes no more room than two", () => {
    const wire = new Wire(sameKey);
    for (let i = 0; i < 1_000; i++) wire.writer.control(OPCODE.pong, new Uint8Array(125).fill(i));
    wire.put(HELLO);
    wire.put(NOTHING);
    const pongs = [...wire.got.matchAll(/8afd37fa213d/g)].length;
    expect(pongs).toBeLessThanOrEqual(3);
    expect(wire.got).toContain("828537fa213d7f9f4d5158");
  });
});
