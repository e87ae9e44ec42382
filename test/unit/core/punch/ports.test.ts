import { expect, test } from "bun:test";
import { FIRST_PORT, LAST_PORT, PORT_COUNT, portSource } from "../../../../src/core/punch/ports.ts";
import { Random } from "../../../random.ts";

const seeded = (seed: number) => {
  const random = new Random(seed);
  return (length: number) => random.bytes(length);
};

test("permuted: every port exactly once, then none", () => {
  const source = portSource("permuted", seeded(1));
  const ports = Array.from({ length: PORT_COUNT }, () => source.next());
  expect(new Set(ports).size).toBe(PORT_COUNT);
  expect(ports.every((port) => port !== undefined && port >= FIRST_PORT && port <= LAST_PORT)).toBe(true);
  expect([source.next(), source.next()]).toEqual([undefined, undefined]);
});

test("permuted: no place and no port is preferred", () => {
  // The mean place of a port among the first of 400 permutations: 64 sums of about 400 draws, each within 6 sigma.
  const bins = new Array<number>(64).fill(0);
  const draws = 25_600;
  for (let seed = 0; seed < 400; seed++) {
    const source = portSource("permuted", seeded(seed));
    for (let i = 0; i < draws / 400; i++)
      bins[Math.floor(((source.next() ?? 0) - FIRST_PORT) / (PORT_COUNT / 64))]! += 1;
  }
  const sigma = Math.sqrt((draws / 64) * (63 / 64));
  expect(bins.filter((count) => Math.abs(count - draws / 64) > 6 * sigma)).toEqual([]);
});

test("random: independent draws that never end", () => {
  const source = portSource("random", seeded(2));
  const ports = Array.from({ length: 3 * PORT_COUNT }, () => source.next());
  expect(ports.every((port) => port !== undefined && port >= FIRST_PORT && port <= LAST_PORT)).toBe(true);
  // Of three draws a port each, 1 − e⁻³ of all ports were seen.
  expect(new Set(ports).size / PORT_COUNT).toBeCloseTo(1 - Math.exp(-3), 2);
});

test.each(["permuted", "random"] as const)("%s: ports to skip never come", (order) => {
  const skip = new Set(Array.from({ length: PORT_COUNT - 3 }, (_, i) => FIRST_PORT + i));
  const source = portSource(order, seeded(3), skip);
  const ports = new Set([source.next(), source.next(), source.next()]);
  expect([...ports].filter((port) => port === undefined || port < LAST_PORT - 2)).toEqual([]);
  if (order === "permuted") expect([ports.size, source.next()]).toEqual([3, undefined]);
});

test("the same randomness gives the same ports", () => {
  const [one, other] = [portSource("permuted", seeded(4)), portSource("permuted", seeded(4))];
  for (let i = 0; i < 100; i++) expect(one.next()).toBe(other.next());
});
