import { afterAll, beforeAll, expect, test } from "bun:test";
import { complaints, type GridMode, type GridNat } from "../contract/grid.ts";
import { describeLab } from "./describe-lab.ts";
import { labCell } from "./grid-cell.ts";
import { Lab } from "./lab.ts";
import { utBinary } from "./ut-binary.ts";

/*
 * Cells of the grid that stand for the others; `bun scripts/grid.ts --lab` runs all of them, and test/sim/peer-grid.test.ts
 * does so in memory.
 */
const CELLS: readonly (readonly [GridNat, GridNat, GridMode])[] = [
  ["full-cone", "address-restricted", "off"],
  ["port-restricted", "port-restricted-random-port", "off"],
  ["address-restricted", "symmetric", "off"],
  ["symmetric-sequential", "full-cone", "fallback"],
  ["port-restricted-reject", "port-restricted", "assist"],
  ["port-restricted-accept", "port-restricted-accept", "off"],
  ["port-restricted", "symmetric", "off"],
  ["port-restricted", "symmetric", "assist"],
  ["symmetric", "port-restricted", "assist"],
  ["symmetric-sequential", "port-restricted", "fallback"],
  ["symmetric", "symmetric", "assist"],
  ["blocked", "full-cone", "off"],
  ["port-restricted", "blocked", "assist"],
];
/** So many at a time: two cores carry four processes and two streams each without losing a datagram. */
const SIDE_BY_SIDE = 4;
const LIMIT_MS = 120_000;

let lab: Lab;
let binary: string;
let turn: Promise<unknown>[] = [];

describeLab("the grid on real NATs, with real binaries", () => {
  beforeAll(async () => {
    binary = await utBinary();
    lab = await Lab.open();
    turn = Array.from({ length: SIDE_BY_SIDE }, () => Promise.resolve());
  }, LIMIT_MS);
  afterAll(async () => await (lab as Lab | undefined)?.[Symbol.asyncDispose](), LIMIT_MS);

  for (const [index, [a, b, mode]] of CELLS.entries())
    test.concurrent(
      `${a} with ${b}, ${mode}`,
      async () => {
        const lane = index % SIDE_BY_SIDE;
        const running = (turn[lane] ?? Promise.resolve()).then(() => labCell(lab, binary, a, b, mode));
        turn[lane] = running.catch(() => {});
        const cell = await running;
        expect({ ...cell, complaints: complaints(cell) }).toMatchObject({ complaints: [] });
      },
      LIMIT_MS,
    );
});
