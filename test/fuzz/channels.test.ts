import { expect, test } from "bun:test";
import { STALE_MS } from "../../src/core/tunnel/outbound.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { ChannelWorld } from "../unit/core/tunnel/channel-world.ts";

/**
 * Pipes between two peers through a server's switch, beside tunnel traffic, while lanes come, stall and break: every
 * datagram arrives once and unchanged at the right end, or its loss is known to somebody.
 */
const RUNS = 80;

test(
  "any weather: offered = delivered + dropped + broken with a lane, nothing twice, astray or changed",
  () => {
    for (const seed of fuzzSeeds("channels", RUNS)) {
      const random = new Random(seed);
      const world = new ChannelWorld(random, random.between(1, 4), {
        pick: random.pick(["round_robin", "hash"]),
        batchBytes: random.pick([1, 1_500, 16_384]),
        reorderMs: random.pick([0, 0, 30]),
      });
      for (let step = random.between(20, 300); step > 0; step--) weather(world, random);
      world.calm();
      let unaccounted = 0;
      for (const [channel, { offered, delivered, lostOnWires }] of world.books) {
        const missing = offered - delivered.size - lostOnWires;
        expect({ seed, channel, missing: Math.max(0, missing) }).toEqual({ seed, channel, missing });
        unaccounted += missing;
      }
      expect({ seed, unaccounted, queued: world.queued }).toEqual({ seed, unaccounted: world.dropped, queued: 0 });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "without breaks and closes, and with room, every channel delivers everything",
  () => {
    for (const seed of fuzzSeeds("calm channels", 20)) {
      const random = new Random(seed);
      const world = new ChannelWorld(random, 3, { batchBytes: random.pick([1, 1_500, 16_384]) });
      for (const peer of [0, 1]) for (let id = 0; id < 3; id++) world.open(peer, id);
      for (let step = 0; step < 100; step++) traffic(world, random, 2);
      world.calm();
      for (const [channel, { offered, delivered }] of world.books)
        expect({ seed, channel, delivered: delivered.size }).toEqual({ seed, channel, delivered: offered });
      expect({ seed, dropped: world.dropped }).toEqual({ seed, dropped: 0 });
    }
  },
  SLOW_MACHINE_MS,
);

function traffic(world: ChannelWorld, random: Random, atMost: number): void {
  const peer = random.below(2);
  for (let i = random.below(atMost + 1); i > 0; i--)
    world.offer(random.pick(world.channelsOf(peer)), random.between(4, 1_200));
  if (random.oneIn(2)) world.offerTunnel(peer, random.between(4, 1_200));
  if (random.oneIn(2)) world.pump();
  if (world.links.length === 0) return;
  const link = random.pick(world.links);
  world.drain(link);
  world.deliver(link, random.between(1, 4_000));
}

function weather(world: ChannelWorld, random: Random): void {
  world.now += random.below(20);
  traffic(world, random, random.oneIn(50) ? 800 : 6);
  const link = world.links.length > 0 ? random.pick(world.links) : undefined;
  switch (random.below(14)) {
    case 0:
      if (link !== undefined) world.notice(link, "client");
      break;
    case 1:
      if (link !== undefined) world.notice(link, "server");
      break;
    case 2:
      if (random.oneIn(4))
        for (const each of [...world.links]) for (const side of ["server", "client"] as const) world.notice(each, side);
      break;
    case 3:
      if (random.oneIn(4)) world.now += STALE_MS + 1;
      break;
    case 4:
      if (random.oneIn(20)) world.closePipe(random.pick([...world.books.keys()]));
      break;
    default:
      world.open(random.below(2), random.below(3));
  }
}
