import { expect, test } from "bun:test";
import { encodePipeControl, type PipeControl } from "../../src/core/pipe/control-message.ts";
import { FLOW_CONTROL, TYPE_PART, TYPE_WHOLE } from "../../src/core/pipe/packet.ts";
import type { PipeOutput, PipePath } from "../../src/core/pipe/pipe.ts";
import { Sealer } from "../../src/core/pipe/sealing.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { agreements, PipePair, smooth } from "../unit/core/pipe/pipe-pair.ts";

/** A pipe that hears only what this test makes up. */
function victim(random: Random): {
  pair: PipePair;
  from: () => PipePath;
  out: { -readonly [K in keyof PipeOutput]: PipeOutput[K] };
} {
  const pair = new PipePair({ seed: random.seed });
  pair.connect(smooth(10));
  pair.run(1_000);
  const known: PipePath = { socket: 0, remote: pair.remote(1) };
  const from = (): PipePath => {
    if (random.oneIn(3)) return "relay";
    if (random.oneIn(2)) return known;
    return {
      socket: random.below(300),
      remote: { address: `198.51.100.${random.below(9)}`, port: random.below(65_536) },
    };
  };
  return { pair, from, out: { relay: [], direct: [] } };
}

function bytesOf({ relay, direct }: PipeOutput): number {
  return (
    relay.reduce((sum, packet) => sum + packet.length, 0) + direct.reduce((sum, one) => sum + one.payload.length, 0)
  );
}

test(
  "a stranger's bytes, and real ones damaged or repeated, are counted and answered by nothing",
  () => {
    for (const seed of fuzzSeeds("pipe stranger", 100)) {
      const random = new Random(seed);
      const { pair, from, out } = victim(random);
      const real: Uint8Array[] = [];
      pair.onPacket = (end, _path, packet) => {
        if (end === 0) real.push(packet);
        return true;
      };
      for (let i = 0; i < 20; i++) pair.send(0, random.bytes(random.below(60)));
      pair.run(100);
      const before = { ...pair.pipe(1).counters.refused };
      const events = pair.events.length;
      let opened = 0;
      for (let i = 0; i < 200; i++) {
        const packet = random.oneIn(2) ? random.bytes(random.below(80)) : random.pick(real).slice();
        if (random.oneIn(2) && packet.length > 0) packet[random.below(packet.length)] = random.below(256);
        // Copies of challenges on a path that is known are answered, as large as they are; not by a stranger's address.
        const path = { socket: 9, remote: { address: "198.51.100.9", port: random.below(65_536) } };
        if (pair.pipe(1).receive(pair.now, random.oneIn(2) ? path : from(), packet, out) !== undefined) opened += 1;
      }
      const { malformed, "wrong-session": wrong, forged, replayed } = pair.pipe(1).counters.refused;
      const refused = malformed + wrong + forged + replayed;
      const was = before.malformed + before["wrong-session"] + before.forged + before.replayed;
      const towardsStrangers = out.direct.filter(({ to }) => to.address.startsWith("198.51.100."));
      expect({ seed, opened, refused: refused - was, towardsStrangers, events: pair.events.length }).toEqual({
        ...{ seed, opened: 0, refused: 200, towardsStrangers: [], events },
      });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "a peer that owns the keys and misbehaves gets no more than it sends, and makes nothing grow",
  () => {
    for (const seed of fuzzSeeds("pipe peer", 60)) {
      const random = new Random(seed);
      const { pair, from, out } = victim(random);
      const sealer = new Sealer({ ...agreements()[0].send });
      // Beyond what the real peer has used of the counter.
      for (let i = 0; i < 100; i++) sealer.seal(TYPE_WHOLE, 2, new Uint8Array(0));
      let received = 0;
      for (let i = 0; i < 2_000; i++) {
        const [type, flow, payload] = hostile(random);
        const packet = sealer.seal(type, flow, payload);
        received += packet.length;
        pair.pipe(1).receive(pair.now, from(), packet, out);
        if (random.oneIn(50)) {
          pair.now += random.below(1_000);
          pair.pipe(1).handleTimeout(pair.now, out);
        }
        while (pair.pipe(1).pollEvent() !== undefined);
      }
      const sent = bytesOf(out);
      expect({ seed, sent, isNoMore: sent <= received, sessions: pair.sessions[1].size <= 3 }).toEqual({
        ...{ seed, sent, isNoMore: true, sessions: true },
      });
      const honest = sealer.seal(TYPE_WHOLE, 7, Uint8Array.of(1));
      expect(pair.pipe(1).receive(pair.now, "relay", honest, out)).toEqual({
        flow: 7,
        payload: Uint8Array.of(1),
      } as never);
    }
  },
  SLOW_MACHINE_MS,
);

function hostile(random: Random): [type: number, flow: number, payload: Uint8Array] {
  const type = random.pick([TYPE_WHOLE, TYPE_WHOLE, TYPE_PART, random.between(0xd0, 0xdf)]);
  // Anything but a goodbye, which would end it.
  if (random.oneIn(3))
    return [type, random.below(5), Uint8Array.from([random.between(4, 255), ...random.bytes(random.below(40))])];
  const token = random.bytes(8).toHex();
  const message: PipeControl = random.pick([
    { type: "challenge", token, padding: random.below(1_400) },
    { type: "response", token },
    { type: "rekey", session: random.below(2 ** 32), key: random.bytes(32) },
    { type: "rekeyed", session: random.below(2 ** 32), key: random.bytes(32) },
  ] as const);
  return [TYPE_WHOLE, FLOW_CONTROL, encodePipeControl(message)];
}
