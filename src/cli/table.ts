/** One column: its title, and the text of its cell in a row. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand right, which is the default. */
  readonly align?: "left" | "right";
}

/** Lines of an aligned table: titles, a rule, one line a row. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const [titles = "", ...lines] = cells.map((line) =>
    line
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === "left" ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return [titles, widths.map((width) => "─".repeat(width)).join("  "), ...lines];
}

/** A number for a person: thousands apart, `digits` decimals, `-` for what was not measured. */
export function formatNumber(value: number | undefined, digits = 0): string {
  if (value === undefined || !Number.isFinite(value)) return "-";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Milliseconds with as many decimals as mean something: `0.12`, `3.4`, `120`. */
export function formatMs(ms: number): string {
  return formatNumber(ms, ms < 1 ? 2 : ms < 100 ? 1 : 0);
}
