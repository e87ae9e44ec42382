import { expect, test } from "bun:test";
import { PduDecoder } from "../../src/core/wire/pdu.ts";
import { concat } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { type Decoded, referenceDecode } from "./reference-decoder.ts";

/**
 * The incremental decoder against one that sees the whole stream at once: streams of valid, mutated and random bytes,
 * in any split. Each run costs well under a millisecond; the number of runs is fixed, so the time is bounded.
 */
const RUNS = 6_000;
const MAX_CTRL_BYTES = 300;

/** What the incremental decoder says of `stream` in these chunks; payloads are read as late as its contract allows. */
function decode(stream: Uint8Array, cuts: readonly number[]): Decoded {
  const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  const pdus: Decoded["pdus"] = [];
  let from = 0;
  for (const to of [...cuts, stream.length]) {
    // A chunk of its own, overwritten afterwards as a socket's receive buffer would be.
    const chunk = stream.slice(from, to);
    from = to;
    const views: { at: number; payload: Uint8Array }[] = [];
    decoder.feed(chunk);
    while (decoder.next() === "pdu") {
      const { type, flags, seq, channel, payload } = decoder;
      views.push({ at: pdus.length, payload });
      pdus.push({ type, flags, seq, channel, payload: "" });
    }
    for (const { at, payload } of views) pdus[at] = { ...pdus[at]!, payload: Buffer.from(payload).toString("hex") };
    chunk.fill(0xee);
  }
  return { pdus, error: decoder.error, partial: decoder.partial };
}

function validPdu(random: Random): Uint8Array {
  const ctrl = random.oneIn(4);
  const flags = ctrl ? 0 : random.pick([0, 0, 1, 1, 2]);
  const longest = ctrl ? MAX_CTRL_BYTES : random.pick([0, 4, 20, 1_500, 1_500, 9_000]);
  const length = Math.max(flags === 0 ? 0 : 4, random.between(0, longest));
  const header = [0x55, 0x54, 1, ctrl ? 0x10 : 1, flags, 0, 0, length >> 8, length & 0xff];
  return concat([Uint8Array.from(header), random.bytes(length)]);
}

function stream(random: Random): Uint8Array {
  const bytes = concat(Array.from({ length: random.below(8) }, () => validPdu(random)));
  switch (random.below(5)) {
    case 0:
      return concat([bytes, random.bytes(random.below(30))]);
    case 1:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 2: {
      // Flip bits, in headers as often as in payloads.
      const at = random.oneIn(2) ? random.below(20) : random.below(bytes.length);
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    }
    default:
      return bytes;
  }
}

/** Where to cut: mostly a few places, now and then every byte. */
function cutsOf(random: Random, length: number): number[] {
  if (length < 200 && random.oneIn(10)) return Array.from({ length }, (_, i) => i);
  const cuts = Array.from({ length: random.below(12) }, () => random.below(length + 1));
  return cuts.sort((a, b) => a - b);
}

test(
  "any stream in any split means what it means as a whole",
  () => {
    for (const seed of fuzzSeeds("decoder", RUNS)) {
      const random = new Random(seed);
      const bytes = stream(random);
      const cuts = cutsOf(random, bytes.length);
      const got = decode(bytes, cuts);
      const expected = referenceDecode(bytes, MAX_CTRL_BYTES);
      if (!Bun.deepEquals(got, expected)) expect({ seed, cuts, got }).toEqual({ seed, cuts, got: expected });
    }
  },
  SLOW_MACHINE_MS,
);

test("every stored stream that once went wrong, in every split into three and byte by byte", async () => {
  const vectors = new Bun.Glob("pdu-*.hex").scanSync("test/vectors");
  for (const name of vectors) {
    const bytes = Uint8Array.from(
      Buffer.from((await Bun.file(`test/vectors/${name}`).text()).replaceAll(/\s|#.*/g, ""), "hex"),
    );
    const expected = referenceDecode(bytes, MAX_CTRL_BYTES);
    const all = Array.from(bytes.keys());
    const splits = [all, ...all.flatMap((first) => all.slice(first).map((second) => [first, second]))];
    for (const cuts of splits) {
      const got = decode(bytes, cuts);
      if (!Bun.deepEquals(got, expected)) expect({ name, cuts, got }).toEqual({ name, cuts, got: expected });
    }
  }
});
