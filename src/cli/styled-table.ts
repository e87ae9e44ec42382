import { lengthOf, type Span, type StyledLine } from "./styled.ts";

export interface StyledColumn<Row> {
  readonly title: string;
  readonly cell: (row: Row) => Span;
  /** Numbers stand right, which is the default. */
  readonly align?: "left" | "right";
  /** Where there is no room for all columns, the one with the least goes first. */
  readonly weight: number;
}

const GAP = "  ";

/** Lines of an aligned table: titles, one line a row; only as many columns as fit. */
export function styledTable<Row>(
  columns: readonly StyledColumn<Row>[],
  rows: readonly Row[],
  width: number,
): StyledLine[] {
  const all = columns.map((column) => {
    const cells = [{ text: column.title, tone: "quiet" } satisfies Span, ...rows.map((row) => column.cell(row))];
    return { ...column, cells, width: Math.max(...cells.map((cell) => lengthOf([cell]))) };
  });
  const lightestFirst = all.toSorted((one, other) => one.weight - other.weight);
  const shown = new Set(all);
  const needed = () => [...shown].reduce((sum, column) => sum + column.width + GAP.length, 0);
  for (const column of lightestFirst) if (needed() > width && shown.size > 1) shown.delete(column);
  return Array.from({ length: rows.length + 1 }, (_, line) =>
    [...shown].flatMap(({ cells, width: room, align }) => {
      const cell = cells[line] ?? { text: "" };
      const padding = { text: " ".repeat(room - lengthOf([cell])) };
      return align === "left" ? [cell, padding, { text: GAP }] : [padding, cell, { text: GAP }];
    }),
  );
}
