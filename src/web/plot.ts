import type { LoadSample } from "../core/tunnel/load-history.ts";
import { element, setAttribute, setText, svg } from "./dom.ts";
import { formatDigits, formatSpan, type Scale } from "./format.ts";
import { type Frame, linePath } from "./plot-path.ts";
import { type Column, Table } from "./table.ts";
import { ticksUpTo } from "./ticks.ts";

export interface Series {
  readonly key: "upBitsPerSecond" | "downBitsPerSecond" | "rttMs" | "slowestRttMs" | "waitMs";
  readonly name: string;
  /** Of the stylesheet: `first`, `second`, `third`. */
  readonly style: string;
}

export interface PlotOptions {
  readonly title: string;
  readonly series: readonly Series[];
  /** What the axis counts in if it reaches up to `top`. */
  readonly scaleOf: (top: number) => Scale;
  /** An axis that is lower would make hills of noise. */
  readonly minTop: number;
  /** Draws a mark below wherever datagrams were dropped. */
  readonly marksDrops: boolean;
}

const HEIGHT = 200;
const MARGIN = { top: 12, right: 12, bottom: 26, left: 46 };
const MINUTE_MS = 60_000;
/** How far back the axis goes, in minutes, and its marks: as far as there is something to be seen. */
const SPANS: readonly (readonly number[])[] = [
  [2, 1, 0],
  [5, 4, 3, 2, 1, 0],
  [15, 10, 5, 0],
];

/** The last 15 minutes as lines, with axes, a legend that says what is now, and the same as a table. */
export class Plot {
  readonly root: HTMLElement;
  readonly #options: PlotOptions;
  readonly #svg = svg("svg", { role: "img" });
  readonly #legend: HTMLElement[];
  readonly #table: Table<Minute>;
  readonly #details: HTMLDetailsElement;
  #width = 0;
  #samples: readonly LoadSample[] = [];

  constructor(options: PlotOptions) {
    this.#options = options;
    this.#legend = options.series.map(() => element("b"));
    this.#table = new Table<Minute>(`${options.title}, minute by minute`, this.#columns(), ({ minute }) => `${minute}`);
    this.#details = element("details", {}, element("summary", {}, "As a table"), this.#table.root);
    this.#details.addEventListener("toggle", () => this.#fillTable());
    const entries = options.series.map(({ name, style }, index) =>
      element("li", { class: style }, swatch(), `${name} `, this.#legend[index] ?? ""),
    );
    if (options.marksDrops) entries.push(element("li", { class: "drops" }, swatch(), "drops"));
    const heading = element("figcaption", {}, element("h3", {}, options.title), element("ul", {}, ...entries));
    this.root = element("figure", {}, heading, this.#svg, this.#details);
    new ResizeObserver(() => this.#resized()).observe(this.#svg);
  }

  /** `samples` of the last 15 minutes, oldest first. */
  update(samples: readonly LoadSample[]): void {
    this.#samples = samples;
    this.#draw();
    this.#fillTable();
  }

  #resized(): void {
    const width = Math.round(this.#svg.clientWidth);
    if (width === this.#width) return;
    this.#width = width;
    this.#draw();
  }

  #draw(): void {
    const { series, scaleOf, minTop, title } = this.#options;
    const top = Math.max(minTop, ...this.#samples.flatMap((sample) => series.map(({ key }) => sample[key] ?? 0)));
    const scale = scaleOf(top);
    const ticks = ticksUpTo(top / scale.factor);
    const frame = this.#frame((ticks.at(-1) ?? 1) * scale.factor);
    setAttribute(this.#svg, "viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    const lines = series.map(({ key, style }) =>
      svg("path", { class: `line ${style}`, d: linePath(this.#samples, key, frame) }),
    );
    this.#svg.replaceChildren(...gridOf(ticks, scale, frame), ...this.#drops(frame), ...lines);
    const latest = this.#samples.at(-1);
    const words = series.map(({ key, name }, index) => {
      const text = figure(latest?.[key], scaleOf);
      const node = this.#legend[index];
      if (node !== undefined) setText(node, text);
      return `${name} ${text}`;
    });
    setAttribute(this.#svg, "aria-label", `${title} over the last 15 minutes, now: ${words.join(", ")}`);
  }

  #frame(top: number): Frame {
    const [first, last] = [this.#samples[0]?.at ?? 0, this.#samples.at(-1)?.at ?? 0];
    const marks = SPANS.find(([minutes = 0]) => last - first <= minutes * MINUTE_MS) ?? SPANS.at(-1) ?? [];
    return {
      marks,
      left: MARGIN.left,
      right: Math.max(MARGIN.left + 1, this.#width - MARGIN.right),
      top: MARGIN.top,
      bottom: HEIGHT - MARGIN.bottom,
      from: last - (marks[0] ?? 0) * MINUTE_MS,
      to: last,
      max: top,
    };
  }

  #drops({ left, right, bottom, from, to }: Frame): Element[] {
    if (!this.#options.marksDrops) return [];
    const places = this.#samples
      .filter(({ drops }) => drops > 0)
      .map(({ at }) => `M${(left + ((right - left) * (at - from)) / (to - from)).toFixed(1)} ${bottom - 5}v5`);
    return [svg("path", { class: "line drops", d: places.join("") })];
  }

  /** One row a minute; nothing is done for a table that nobody has opened. */
  #fillTable(): void {
    if (!this.#details.open) return;
    const minutes = Map.groupBy(this.#samples, ({ at }) => Math.floor(at / MINUTE_MS));
    this.#table.update([...minutes].map(([minute, samples]) => ({ minute, samples })).toReversed());
  }

  #columns(): Column<Minute>[] {
    const { series, scaleOf, marksDrops } = this.#options;
    const columns: Column<Minute>[] = [
      { title: "When", cell: ({ samples }) => ({ text: `${formatSpan(this.#ageOf(samples))} ago` }) },
      ...series.map(({ key, name }) => ({
        title: `${name}, on average`,
        isNumber: true,
        cell: ({ samples }: Minute) => ({ text: figure(meanOf(samples, key), scaleOf) }),
      })),
    ];
    if (marksDrops)
      columns.push({ title: "drops", isNumber: true, cell: ({ samples }) => ({ text: `${dropsOf(samples)}` }) });
    return columns;
  }

  #ageOf(samples: readonly LoadSample[]): number {
    return (this.#samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0);
  }
}

interface Minute {
  readonly minute: number;
  readonly samples: readonly LoadSample[];
}

function meanOf(samples: readonly LoadSample[], key: Series["key"]): number | null {
  const known = samples.flatMap((sample) => sample[key] ?? []);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function dropsOf(samples: readonly LoadSample[]): number {
  return samples.reduce((sum, { drops }) => sum + drops, 0);
}

function gridOf(ticks: readonly number[], { unit, factor }: Scale, frame: Frame): Element[] {
  const { left, right, top, bottom, max, marks } = frame;
  const rows = ticks.flatMap((tick) => {
    const y = bottom - ((bottom - top) * tick * factor) / max;
    const text = svg("text", { class: "tick y", x: `${left - 6}`, y: `${y}` }, `${tick}`);
    return [svg("path", { class: tick === 0 ? "axis" : "grid", d: `M${left} ${y}H${right}` }), text];
  });
  const [oldest = 1] = marks;
  const columns = marks.map((minutes) => {
    const x = right - ((right - left) * minutes) / oldest;
    const edge = minutes === 0 ? "end" : minutes === oldest ? "start" : "middle";
    const word = minutes === 0 ? "now" : minutes === oldest ? `${oldest} min ago` : `${minutes}`;
    return svg("text", { class: `tick ${edge}`, x: `${x}`, y: `${bottom + 18}` }, word);
  });
  return [...rows, ...columns, svg("text", { class: "tick unit", x: `${left + 6}`, y: `${top + 4}` }, unit)];
}

function figure(value: number | null | undefined, scaleOf: PlotOptions["scaleOf"]): string {
  if (value === null || value === undefined) return "–";
  const { unit, factor } = scaleOf(value);
  return `${formatDigits(value / factor)}\u00a0${unit}`;
}

function swatch(): Element {
  return svg(
    "svg",
    { class: "swatch", viewBox: "0 0 20 8", "aria-hidden": "true" },
    svg("path", { class: "line", d: "M0 4H20" }),
  );
}
