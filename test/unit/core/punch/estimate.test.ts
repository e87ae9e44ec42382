import { expect, test } from "bun:test";
import { estimatePunch, hitProbability, missProbability } from "../../../../src/core/punch/estimate.ts";
import { PUNCH_DEFAULTS } from "../../../../src/core/punch/settings.ts";

const LIMITS = { packetsPerSecond: 2_500, mappings: 2_048 };

test.each([
  [256, 1_000, 0.981],
  [256, 2_000, 0.9996],
  [64, 1_000, 0.629],
  [1, 64_512, 0.632],
  [256, 0, 0],
])("%i sockets, %i ports", (sockets, ports, probability) => {
  expect(hitProbability(sockets, ports)).toBeCloseTo(probability, 3);
  expect(missProbability(sockets, ports)).toBeCloseTo(1 - probability, 3);
});

test("the defaults: four batches until the NAT holds enough", () => {
  const { probability, ...numbers } = estimatePunch(PUNCH_DEFAULTS, LIMITS);
  expect(probability).toBeCloseTo(0.99971, 5);
  expect(numbers).toEqual({
    ports: 2_048,
    expectedPorts: 252,
    // Of the first batch's first pass.
    expectedMs: (252 / 512) * 250,
    nat3Packets: 20_480,
    nat4Packets: 10_240,
    seconds: 10,
  });
});

test("a batch that the pace stretches is sent to its end before the next one", () => {
  const settings = { ...PUNCH_DEFAULTS, scanCount: 4_000, socketCount: 8 };
  const { ports, expectedPorts, expectedMs, nat3Packets } = estimatePunch(settings, {
    packetsPerSecond: 1_000,
    mappings: 64_512,
  });
  // 4 s a batch, one pass each, 10 s: the third is half done.
  expect({ ports, expectedPorts, expectedMs, nat3Packets }).toEqual({
    ports: 10_000,
    expectedPorts: 8_064,
    expectedMs: 8_064,
    nat3Packets: 10_000,
  });
});

test("no more ports than are tried in the window", () => {
  expect(estimatePunch({ ...PUNCH_DEFAULTS, windowMs: 500 }, LIMITS).ports).toBe(512);
  expect(estimatePunch({ ...PUNCH_DEFAULTS, windowMs: 1_125 }, LIMITS).ports).toBe(512 + 256);
});
