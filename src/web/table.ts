import { element, setAttribute, setText } from "./dom.ts";
import { KeyedList, type View } from "./keyed-list.ts";

export type Tone = "plain" | "good" | "warn" | "bad" | "quiet";

export interface Cell {
  readonly text: string;
  /** The exact figure behind a rounded one. */
  readonly value?: number;
  /** A second, smaller line. */
  readonly note?: string;
  readonly tone?: Tone;
  /** Shares from 0 to 1 that are drawn as bars below the text. */
  readonly bars?: readonly { readonly kind: "up" | "down"; readonly share: number }[];
}

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => Cell;
  readonly isNumber?: boolean;
}

/**
 * A table whose rows come and go. On a narrow screen each row becomes a card, by style alone; the roles are said
 * because such a style takes them from the elements.
 */
export class Table<Row> {
  readonly root: HTMLTableElement;
  readonly #rows: KeyedList<Row>;

  constructor(caption: string, columns: readonly Column<Row>[], keyOf: (row: Row) => string) {
    const body = element("tbody", { role: "rowgroup" });
    const titles = columns.map(({ title, isNumber }) =>
      element("th", { scope: "col", role: "columnheader", ...classOf(isNumber) }, title),
    );
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...titles));
    this.root = element("table", { role: "table" }, element("caption", {}, caption), head, body);
    this.#rows = new KeyedList(body, keyOf, () => rowView(columns));
  }

  update(rows: readonly Row[]): void {
    this.#rows.update(rows);
  }
}

function rowView<Row>(columns: readonly Column<Row>[]): View<Row> {
  const cells = columns.map(({ title, isNumber }, index) => cellView(title, isNumber, index === 0));
  return {
    root: element("tr", { role: "row" }, ...cells.map(({ root }) => root)),
    update: (row) => {
      for (const [index, { cell }] of columns.entries()) cells[index]?.update(cell(row));
    },
  };
}

function cellView(title: string, isNumber: boolean | undefined, isHead: boolean): View<Cell> {
  const data = element("data");
  const note = element("small");
  const attributes = { "data-title": title, ...classOf(isNumber) };
  const shares = element("span", { class: "bars", "aria-hidden": "true" });
  const box = element("div", {}, data, note, shares);
  const root = isHead
    ? element("th", { scope: "row", role: "rowheader", ...attributes }, box)
    : element("td", { role: "cell", ...attributes }, box);
  const bars = new KeyedList<NonNullable<Cell["bars"]>[number]>(shares, ({ kind }) => kind, barView);
  return {
    root,
    update({ text, value, note: more = "", tone = "plain", bars: drawn }) {
      setText(data, text);
      setAttribute(data, "value", `${value ?? text}`);
      setText(note, more);
      setAttribute(root, "data-tone", tone);
      if (drawn !== undefined) bars.update(drawn);
    },
  };
}

function barView({ kind }: { kind: string }): View<{ share: number }> {
  const fill = element("i");
  return {
    root: element("span", { class: `bar ${kind}` }, fill),
    update({ share }) {
      fill.style.inlineSize = `${(Math.min(1, Math.max(0, share)) * 100).toFixed(1)}%`;
    },
  };
}

function classOf(isNumber: boolean | undefined): Readonly<Record<string, string>> {
  return isNumber === true ? { class: "number" } : {};
}
