import { expect } from "bun:test";
import { LATE_MS } from "../../../../src/core/tunnel/loss-ledger.ts";
import { STALE_MS } from "../../../../src/core/tunnel/outbound.ts";
import type { SessionOptions } from "../../../../src/core/tunnel/session.ts";
import type { Random } from "../../../random.ts";
import { SessionPair } from "./session-pair.ts";

export const DIRECTIONS = ["up", "down"] as const;

/** Random traffic on a healthy set of lanes: nothing breaks, bytes only take their time. */
export function traffic(pair: SessionPair, random: Random, steps: number): void {
  for (let step = 0; step < steps; step++) {
    const direction = random.pick(DIRECTIONS);
    for (let i = random.below(4); i > 0; i--) pair.offer(direction, random.between(4, 1_200));
    if (random.oneIn(2)) pair.pump(direction);
    const link = random.pick(pair.links);
    const which = random.pick(["client", "server"] as const);
    if (link.up) {
      pair.drain(link[which]);
      pair.deliver(link, which, random.between(1, 4_000));
    }
    pair.now += random.below(3);
    pair.timeouts();
  }
}

/** Let every number be shown or given up: both ends notice what broke, fresh traffic on every lane, then time. */
export function calm(pair: SessionPair, lateMs = LATE_MS): void {
  for (const link of [...pair.links]) if (!link.up) pair.cutBoth(link);
  pair.settle();
  for (let id = 0; id < 5; id++)
    if (!pair.client.lanes.some((lane) => lane.id === id && !lane.saidGoodbye)) pair.open(id);
  pair.settle();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) {
      for (const direction of DIRECTIONS) {
        // One at a time, so that each lane gets its turn.
        pair.offer(direction);
        pair.pump(direction);
        pair.settle();
      }
    }
    pair.now += lateMs;
    pair.timeouts();
  }
}

/** Everything that came in is accounted for, to the last datagram. */
export function expectBalance(pair: SessionPair, seed: number): void {
  for (const direction of DIRECTIONS) {
    const { in: entered, accounted, drops } = pair.balance(direction);
    expect({ seed, direction, drops, accounted }).toEqual({ seed, direction, drops, accounted: entered });
  }
}

export function weather(pair: SessionPair, random: Random, steps: number): void {
  for (let step = 0; step < steps; step++) {
    traffic(pair, random, 5);
    const link = random.pick(pair.links);
    switch (random.below(12)) {
      case 0:
        pair.cutBoth(link);
        break;
      case 1:
        pair.notice(link, "client");
        break;
      case 2:
        pair.notice(link, "server");
        break;
      case 3:
        pair.cut(link);
        break;
      case 4:
        for (const each of [...pair.links]) pair.cutBoth(each);
        break;
      case 5:
        if (link.up && link.client.lane.greeted) {
          link.client.lane.sayGoodbye("idle");
          pair.flush(link.client);
        }
        break;
      case 6:
        pair.now += random.pick([50, 500, LATE_MS, STALE_MS + 1, 12_000]);
        pair.timeouts();
        break;
      default:
        redial(pair, random);
    }
  }
}

/** The client dials a lane that it does not have; it may be one that the server still believes in. */
function redial(pair: SessionPair, random: Random): void {
  const id = random.below(5);
  if (!pair.client.lanes.some((lane) => lane.id === id)) pair.open(id);
}

export function pairOf(random: Random, settings: Partial<SessionOptions> = {}, lanes = 5): SessionPair {
  const pair = new SessionPair(random, settings);
  for (let id = 0; id < lanes; id++) pair.open(id);
  return pair;
}
