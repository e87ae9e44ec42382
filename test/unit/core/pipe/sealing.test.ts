import { expect, test } from "bun:test";
import {
  FIRST_UDP_FLOW,
  looksSealed,
  readCounter,
  readSession,
  SEAL_OVERHEAD_BYTES,
  TYPE_PART,
  TYPE_WHOLE,
} from "../../../../src/core/pipe/packet.ts";
import { Opener, Sealer } from "../../../../src/core/pipe/sealing.ts";
import { hex, numbered } from "../../../bytes.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

const key = { key: new Uint8Array(32).fill(9), session: 0xcafe_f00d };

test("a packet on the wire: header in the clear, counter from 0, the rest sealed", () => {
  const sealer = new Sealer(key);
  sealer.seal(TYPE_WHOLE, 7, hex("00"));
  const packet = sealer.seal(TYPE_PART, 7, hex("0102 03"));
  expect(packet.subarray(0, 13)).toEqual(hex("d1 cafef00d 0000000000000001"));
  expect(packet.length).toBe(3 + SEAL_OVERHEAD_BYTES);
  expect([readSession(packet), readCounter(packet), sealer.packets]).toEqual([0xcafe_f00d, 1, 2]);
});

test("every size opens to what was sealed, from nothing to the largest datagram", () => {
  const sealer = new Sealer(key);
  const opener = new Opener(key);
  for (const length of [0, 1, 15, 16, 1_200, 2_046, 2_047, 5_000, 65_507 - SEAL_OVERHEAD_BYTES]) {
    const payload = length < 4 ? new Uint8Array(length) : numbered(length, length);
    expect(opener.open(sealer.seal(TYPE_WHOLE, FIRST_UDP_FLOW, payload))).toEqual({
      ok: true,
      type: TYPE_WHOLE,
      flow: FIRST_UDP_FLOW,
      payload,
    });
  }
});

test("what is not meant for this end, forged, repeated or no packet at all says so and changes nothing", () => {
  const sealer = new Sealer(key);
  const opener = new Opener(key);
  const packet = sealer.seal(TYPE_WHOLE, 2, hex("aa"));
  const forged = packet.map((byte, i) => (i === packet.length - 1 ? byte ^ 1 : byte));
  // A forged counter far ahead must not close the window on what is real.
  const ahead = packet.map((byte, i) => (i === 6 ? 0xff : byte));
  const other = new Sealer({ ...key, session: 5 }).seal(TYPE_WHOLE, 2, hex("aa"));
  const kinds = [forged, ahead, other, packet.subarray(0, SEAL_OVERHEAD_BYTES - 1), hex("00"), packet, packet].map(
    (bytes) => {
      const opened = opener.open(bytes);
      return opened.ok ? opened.payload : opened.kind;
    },
  );
  expect(kinds).toEqual(["forged", "forged", "wrong-session", "malformed", "malformed", hex("aa"), "replayed"]);
});

test("two sealers of the same direction never share a nonce: the session belongs to one key", () => {
  expect(() => new Sealer({ key: new Uint8Array(16), session: 1 })).toThrow(RangeError);
});

test("random bytes and damaged packets never open and never throw", () => {
  for (const seed of fuzzSeeds("sealing", 200)) {
    const random = new Random(seed);
    const opener = new Opener(key);
    const packet = new Sealer(key).seal(TYPE_WHOLE, random.below(9), random.bytes(random.below(64)));
    const damaged = packet.slice(0, random.between(0, packet.length));
    if (damaged.length === packet.length) damaged[random.below(damaged.length)] = (damaged.at(-1) ?? 0) ^ 0x55;
    const noise = random.bytes(random.below(128));
    if (Buffer.compare(damaged, packet) === 0) continue;
    expect({ seed, ok: [opener.open(damaged).ok, opener.open(noise).ok] }).toEqual({ seed, ok: [false, false] });
    expect(opener.open(packet).ok).toBe(true);
  }
});

test("STUN and QUIC do not look sealed", () => {
  const stun = new Uint8Array(40);
  const quic = new Uint8Array(40).fill(0xc3, 0, 1);
  expect([looksSealed(stun), looksSealed(quic), looksSealed(new Uint8Array(40).fill(0xdf, 0, 1))]).toEqual([
    ...[false, false, true],
  ]);
});
