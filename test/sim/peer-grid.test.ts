import { describe, expect, test } from "bun:test";
import { complaints, GRID_MODES, GRID_NATS, type GridMode, type GridNat } from "../contract/grid.ts";
import { fuzzSeeds, SLOW_MACHINE_MS } from "../random.ts";
import { type SimCell, simCell } from "./grid-cell.ts";

const NOTHING = { pipes: 0, sessions: 0, sockets: 0, fan: 0 };

async function check(a: GridNat, b: GridNat, mode: GridMode, seed: number): Promise<SimCell> {
  const cell = await simCell(a, b, mode, seed);
  const { attempts, firstBackMs, held } = cell;
  expect({
    a,
    b,
    mode,
    seed,
    complaints: complaints(cell),
    held,
    isAtOnce: firstBackMs < 500,
    isWithinTwo: attempts <= 2,
  }).toEqual({
    ...{ a, b, mode, seed, complaints: [], held: [NOTHING, NOTHING], isAtOnce: true, isWithinTwo: true },
  });
  return cell;
}

describe("every NAT with every NAT, datagrams flow at once and", () => {
  for (const mode of GRID_MODES)
    for (const a of GRID_NATS)
      test(
        `${mode}: ${a} with each goes where it can`,
        async () => {
          for (const [index, b] of GRID_NATS.entries()) await check(a, b, mode, 1_000 * index + GRID_NATS.indexOf(a));
        },
        SLOW_MACHINE_MS,
      );

  test(
    "port-restricted with symmetric is direct at the first try, nearly always",
    async () => {
      const seeds = fuzzSeeds("peer grid", 20);
      let second = 0;
      for (const seed of seeds)
        for (const [a, b] of [
          ["port-restricted", "symmetric"],
          ["symmetric-sequential", "port-restricted-random-port"],
        ] as const)
          if ((await check(a, b, "assist", seed)).attempts > 1) second += 1;
      expect(second).toBeLessThanOrEqual(1);
    },
    SLOW_MACHINE_MS,
  );
});
