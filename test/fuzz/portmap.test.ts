import { expect, test } from "bun:test";
import { canonicalIp } from "../../src/core/net/ip.ts";
import { NatPmpClient } from "../../src/core/portmap/nat-pmp.ts";
import { decodeNatPmpAnswer } from "../../src/core/portmap/nat-pmp-codec.ts";
import { PcpClient } from "../../src/core/portmap/pcp.ts";
import { decodePcpAnswer } from "../../src/core/portmap/pcp-codec.ts";
import { PORT_MAP_SOCKETS, type PortMapClient } from "../../src/core/portmap/protocol.ts";
import { hex } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { GATEWAY, OPTIONS } from "../unit/core/portmap/client-bench.ts";

const RUNS = 20_000;
/** Good answers to what a client with `OPTIONS` asks. */
const SEEDS = {
  pcp: [
    `028100000000 0e10 00000064 ${"00".repeat(12)} 000102030405060708090a0b 11000000 ca6c9c41 00000000000000000000ffff cb007107`,
    `0280000000000000 00000064 ${"00".repeat(12)}`,
    "0081000100000064",
  ].map(hex),
  "nat-pmp": ["0080000000000064cb007107", "0081000000000064ca6c9c4100000e10", "0081000200000064"].map(hex),
};

/** A good answer with some of its bytes changed, cut or lengthened; or no answer at all. */
function mangle(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  if (random.oneIn(8)) return random.bytes(random.below(1_300));
  const bytes = random.pick(seeds).slice();
  for (let change = random.below(4); change > 0; change--)
    bytes[random.below(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
  if (random.oneIn(4)) return bytes.subarray(0, random.below(bytes.length + 1));
  if (random.oneIn(8)) return Uint8Array.from([...bytes, ...random.bytes(random.below(1_200))]);
  return bytes;
}

test(
  "decoders: any bytes are an answer with sound fields, or a kind",
  () => {
    for (const seed of fuzzSeeds("port mapping decoders", 1)) {
      const random = new Random(seed);
      for (let run = 0; run < RUNS; run++) {
        const bytes = mangle(random, [...SEEDS.pcp, ...SEEDS["nat-pmp"]]);
        const [pcp, natPmp] = [decodePcpAnswer(bytes), decodeNatPmpAnswer(bytes)];
        const addresses: string[] = [];
        if (pcp.ok && pcp.answer.type === "map" && pcp.answer.mapping !== undefined) {
          addresses.push(pcp.answer.mapping.external.address);
          expect([seed, pcp.answer.mapping.nonce.length]).toEqual([seed, 12]);
        }
        if (natPmp.ok && natPmp.answer.type === "address") addresses.push(natPmp.answer.address);
        for (const address of addresses) expect([seed, canonicalIp(address)]).toEqual([seed, address]);
        for (const decoded of [pcp, natPmp])
          if (!decoded.ok) expect([seed, decoded.kind]).toEqual([seed, expect.any(String)]);
      }
    }
  },
  SLOW_MACHINE_MS,
);

test.each([
  ["pcp", () => new PcpClient(OPTIONS)],
  ["nat-pmp", () => new NatPmpClient(OPTIONS)],
] as const)(
  "%s: a client that is pelted ends each request once, with a sound mapping or a failure",
  (protocol, makeClient) => {
    for (const seed of fuzzSeeds(`${protocol} client`, 4)) {
      const random = new Random(seed);
      const client: PortMapClient = makeClient();
      let now = 0;
      for (let round = 0; round < 300; round++) {
        if (random.oneIn(3)) client.unmap(now);
        else client.map(now);
        const ends: string[] = [];
        const begin = now;
        while (now < begin + 400_000) {
          now += random.between(1, 4_000);
          const payload = mangle(random, SEEDS[protocol]);
          const socket = random.pick([PORT_MAP_SOCKETS[protocol], PORT_MAP_SOCKETS.announcements]);
          if (!random.oneIn(3)) client.handleDatagram(now, { socket, from: GATEWAY, payload });
          client.handleTimeout(now);
          while (client.pollTransmit() !== undefined);
          for (let event = client.pollEvent(); event !== undefined; event = client.pollEvent()) {
            if (event.type === "mapped") {
              expect([seed, event.external.port]).not.toEqual([seed, 0]);
              expect(event.leaseSeconds).toBeWithin(1, 86_401);
            }
            if (event.type !== "lost") ends.push(event.type);
          }
          if (ends.length > 0) break;
        }
        expect([seed, round, ends.length]).toEqual([seed, round, 1]);
      }
    }
  },
  SLOW_MACHINE_MS,
);

test.each(["pcp", "nat-pmp"] as const)(
  "%s: from anybody but the gateway nothing ever counts",
  (protocol) => {
    for (const seed of fuzzSeeds(`${protocol} strangers`, 1)) {
      const random = new Random(seed);
      const client: PortMapClient = protocol === "pcp" ? new PcpClient(OPTIONS) : new NatPmpClient(OPTIONS);
      client.map(0);
      for (let run = 0; run < 5_000; run++) {
        const from = random.pick([
          { ...GATEWAY, port: random.below(5_351) },
          { ...GATEWAY, address: `10.1.0.${random.between(2, 254)}` },
        ]);
        const socket = random.pick([PORT_MAP_SOCKETS[protocol], PORT_MAP_SOCKETS.announcements]);
        client.handleDatagram(0, { socket, from, payload: mangle(random, SEEDS[protocol]) });
      }
      expect([seed, client.pollEvent(), client.ignored.foreign]).toEqual([seed, undefined, 5_000]);
    }
  },
  SLOW_MACHINE_MS,
);
