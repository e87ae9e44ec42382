/**
 * Every NAT with every NAT in every mode: whether datagrams flow at once, whether they go direct where they can, and
 * what that takes. `bun scripts/grid.ts --lab` with real binaries behind NATs of nftables (root, Linux),
 * `bun scripts/grid.ts --sim` in memory; `--help` for what can be chosen. Exit code 1 if a cell is not as expected.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import {
  complaints,
  expectedWay,
  GRID_MODES,
  GRID_NATS,
  type GridCell,
  type GridMode,
  type GridNat,
} from "../test/contract/grid.ts";
import { labCell } from "../test/lab/grid-cell.ts";
import { Lab } from "../test/lab/lab.ts";
import { labProblem } from "../test/lab/lab-problem.ts";
import { utBinary } from "../test/lab/ut-binary.ts";
import { simCell } from "../test/sim/grid-cell.ts";
import { type GridPage, gridPage } from "./grid/grid-page.ts";
import { gridSummary, gridTable } from "./grid/grid-table.ts";

const HELP = `usage: bun scripts/grid.ts --lab | --sim | --from FILE [flags]

  --modes M,…     off, fallback, assist             (all)
  --nats N,…      the kinds at either end           (all; "basic": the six that differ most)
  --seed N        of the first cell, with --sim     (1)
  --at-once N     cells at the same time with --lab (4)
  --binary FILE   instead of dist/ut, which is built when its source is newer
  --out FILE      of the page                       (dist/grid-lab.html, dist/grid-sim.html)
  --json FILE     every run
  --runs N        of each pair                      (1)
  --again N       a cell of the lab that is not as expected is run again by itself, up to N times, and the last
                  one counts: the machine may have had other things to do (0)
  --from FILE     draws the page of what --json wrote

NATs: ${GRID_NATS.join(", ")}
`;
const BASIC = 6;
const ROOT = join(import.meta.dir, "..");

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    lab: { type: "boolean", default: false },
    sim: { type: "boolean", default: false },
    modes: { type: "string", default: GRID_MODES.join(",") },
    nats: { type: "string", default: GRID_NATS.join(",") },
    seed: { type: "string", default: "1" },
    "at-once": { type: "string", default: "4" },
    binary: { type: "string" },
    out: { type: "string" },
    json: { type: "string" },
    runs: { type: "string", default: "1" },
    again: { type: "string", default: "0" },
    from: { type: "string" },
  },
});

interface Place {
  readonly a: GridNat;
  readonly b: GridNat;
  readonly mode: GridMode;
}

if (flags.help || [flags.lab, flags.sim, flags.from !== undefined].filter(Boolean).length !== 1) console.log(HELP);
else if (flags.from !== undefined) await redraw(flags.from);
else await main(flags.lab ? "lab" : "sim");

async function main(kind: "lab" | "sim"): Promise<void> {
  const nats = chosen<GridNat>(flags.nats === "basic" ? GRID_NATS.slice(0, BASIC).join(",") : flags.nats, GRID_NATS);
  const modes = chosen<GridMode>(flags.modes, GRID_MODES);
  const pairs = modes.flatMap((mode) => nats.flatMap((a) => nats.map((b) => ({ a, b, mode }))));
  const places = Array.from({ length: Number(flags.runs) }, () => pairs).flat();
  const cells = kind === "lab" ? await runLab(places) : await runSim(places);
  for (const mode of modes) console.log(`\n${gridTable(mode, nats, cells).join("\n")}`);
  console.log(`\n${gridSummary(cells).join("\n")}`);
  const grid: GridPage = { kind, modes, nats, cells, date: new Date().toISOString().slice(0, 10) };
  if (flags.json) await Bun.write(flags.json, JSON.stringify(grid, null, 1));
  await draw(grid);
  if (cells.some((cell) => complaints(cell).length > 0)) process.exitCode = 1;
}

async function redraw(file: string): Promise<void> {
  await draw(JSON.parse(await Bun.file(file).text()) as GridPage);
}

async function draw(grid: GridPage): Promise<void> {
  const page = flags.out ?? join(ROOT, "dist", `grid-${grid.kind}.html`);
  await mkdir(dirname(page), { recursive: true });
  await Bun.write(page, gridPage(grid));
  console.log(`\n${page}`);
}

async function runSim(places: readonly Place[]): Promise<GridCell[]> {
  const cells: GridCell[] = [];
  for (const [index, { a, b, mode }] of places.entries())
    cells.push(await simCell(a, b, mode, Number(flags.seed) + index));
  return cells;
}

async function runLab(places: readonly Place[]): Promise<GridCell[]> {
  const problem = labProblem();
  if (problem !== undefined) throw new Error(`Cannot build the lab: ${problem}`);
  const binary = flags.binary ?? (await utBinary());
  const cells: GridCell[] = [];
  let next = 0;
  const work = async () => {
    for (let place = places[next++]; place !== undefined; place = places[next++]) {
      cells.push(await runCell(binary, place));
      if (cells.length % 20 === 0) console.log(`${cells.length} of ${places.length}`);
    }
  };
  await Promise.all(Array.from({ length: Number(flags["at-once"]) }, work));
  for (let again = 0; again < Number(flags.again); again++)
    for (const [index, cell] of cells.entries())
      if (complaints(cell).length > 0) cells[index] = await runCell(binary, cell);
  return cells;
}

/** In a lab of its own: its namespaces are gone with it. What cannot be run at all is not as expected. */
async function runCell(binary: string, place: Place): Promise<GridCell> {
  const { a, b, mode } = place;
  await using lab = await Lab.open();
  const cell = await labCell(lab, binary, a, b, mode).catch((error: unknown) => notRun(place, error));
  const wrong = complaints(cell).join(", ");
  if (wrong !== "") console.log(`${mode}: ${a} with ${b}: ${wrong}`);
  return cell;
}

function notRun({ a, b, mode }: Place, error: unknown): GridCell {
  console.log(error);
  const nothing = { attempts: 0, directMs: null, probes: 0, firstBackMs: 0, sent: 0, lost: 0, doubled: 0 };
  return { a, b, mode, expected: expectedWay(a, b, mode), way: "not run", ...nothing };
}

function chosen<Name extends string>(text: string, known: readonly Name[]): Name[] {
  return text.split(",").map((word) => {
    const name = known.find((one) => one === word);
    if (name === undefined) throw new Error(`Cannot use ${word}: expected ${known.join(", ")}`);
    return name;
  });
}
