import { test } from "bun:test";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { SESSION_SETTINGS } from "../unit/core/tunnel/session-settings.ts";
import { calm, expectBalance, pairOf, weather } from "../unit/core/tunnel/session-weather.ts";

/**
 * Queue, scheduler, lanes, loss ledger and resequencer together: two sessions under any settings and any weather, and
 * a model that only keeps books of what entered, what left, and what the wires swallowed.
 */
const RUNS = 60;

test(
  "any weather under any settings: in = out + dropped + queued, nothing twice, nothing changed",
  () => {
    for (const seed of fuzzSeeds("session", RUNS)) {
      const random = new Random(seed);
      const pair = pairOf(random, {
        reorderMs: random.pick([0, 0, 1, 30, 1_000]),
        batchBytes: random.pick([1, 1_500, 16_384, 65_536]),
        queue: {
          ...SESSION_SETTINGS.queue,
          maxPackets: random.pick([1, 10, 4_096]),
          maxDelayMs: random.pick([0, 0, 10]),
          targetMs: random.pick([0, 3]),
        },
      });
      weather(pair, random, random.between(10, 120));
      calm(pair);
      expectBalance(pair, seed);
    }
  },
  SLOW_MACHINE_MS,
);
