import { complaints, type GridCell, type GridMode, type GridNat, type Way } from "../../test/contract/grid.ts";
import { type Column, formatNumber, formatTable, median } from "../bench/table.ts";

/** One mode: who starts down the side, whom they want across. What went direct with how long that took. */
export function gridTable(mode: GridMode, nats: readonly GridNat[], cells: readonly GridCell[]): string[] {
  const columns: Column<GridNat>[] = [
    { title: mode, cell: (a) => a, align: "left" },
    ...nats.map(
      (b, index): Column<GridNat> => ({
        title: String(index + 1),
        cell: (a) => cellText(cells.find((cell) => cell.mode === mode && cell.a === a && cell.b === b)),
        align: "left",
      }),
    ),
  ];
  return [...formatTable(columns, nats), nats.map((name, index) => `${index + 1} ${name}`).join(", ")];
}

/** By mode and what was expected. */
export function gridGroups(cells: readonly GridCell[]): (readonly GridCell[])[] {
  return [...Map.groupBy(cells, ({ mode, expected }) => `${mode} ${expected}`).values()];
}

/** Of one such group. */
export const SUMMARY: readonly Column<readonly GridCell[]>[] = [
  { title: "mode", cell: ([one]) => one?.mode ?? "", align: "left" },
  { title: "expected", cell: ([one]) => one?.expected ?? "", align: "left" },
  { title: "runs", cell: ({ length }) => formatNumber(length) },
  { title: "as expected", cell: (of) => formatNumber(of.filter((cell) => complaints(cell).length === 0).length) },
  { title: "within two attempts", cell: (of) => formatNumber(of.filter(({ attempts }) => attempts <= 2).length) },
  { title: "first datagram, ms (max)", cell: (of) => formatNumber(Math.max(...of.map((cell) => cell.firstBackMs))) },
  { title: "direct, ms (median)", cell: (of) => formatNumber(median(directTimes(of))) },
  { title: "(max)", cell: (of) => formatNumber(maxOf(directTimes(of))) },
  { title: "probes (median)", cell: (of) => formatNumber(median(of.map(({ probes }) => probes))) },
  { title: "datagrams", cell: (of) => formatNumber(sumOf(of, ({ sent }) => sent)) },
  { title: "lost", cell: (of) => formatNumber(sumOf(of, ({ lost }) => lost)) },
  { title: "doubled", cell: (of) => formatNumber(sumOf(of, ({ doubled }) => doubled)) },
];

export function gridSummary(cells: readonly GridCell[]): string[] {
  return formatTable(SUMMARY, gridGroups(cells));
}

function cellText(cell: GridCell | undefined): string {
  if (cell === undefined) return "";
  const wrong = complaints(cell).length > 0 ? "!" : "";
  return `${SHORT[cell.way as Way] ?? "?"}${cell.directMs === null ? "" : ` ${formatNumber(cell.directMs / 1_000, 1)}`}${wrong}`;
}

const SHORT: Record<Way, string> = { ice: "ice", hardnat: "hard", relay: "·" };

function directTimes(cells: readonly GridCell[]): number[] {
  return cells.flatMap(({ directMs }) => directMs ?? []);
}

function maxOf(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : Math.max(...values);
}

function sumOf(cells: readonly GridCell[], pick: (cell: GridCell) => number): number {
  return cells.reduce((sum, cell) => sum + pick(cell), 0);
}
