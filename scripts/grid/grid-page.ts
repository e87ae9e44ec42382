import { complaints, type GridCell, type GridMode, type GridNat } from "../../test/contract/grid.ts";
import { formatNumber, median } from "../bench/table.ts";
import { GRID_STYLE } from "./grid-style.ts";
import { gridGroups, SUMMARY } from "./grid-table.ts";

export interface GridPage {
  readonly kind: "lab" | "sim";
  readonly modes: readonly GridMode[];
  readonly nats: readonly GridNat[];
  /** A pair of NATs may be there more than once. */
  readonly cells: readonly GridCell[];
  /** ISO 8601. */
  readonly date: string;
}

const KINDS = {
  lab: "Real binaries behind NATs made of nftables",
  sim: "Whole peers in a simulated internet",
};

const MODES: Record<GridMode, string> = {
  off: "plain punching (ICE) alone",
  fallback: "hard-NAT punching after ICE has failed",
  assist: "hard-NAT punching 300 ms behind ICE",
};

/** What the names leave open. */
const NOTES = [
  ["full cone", "lets in anybody at a port once it is open"],
  ["address-restricted", "lets in the addresses that were sent to, from any port"],
  ["port-restricted", "lets in just those addresses and ports"],
  ["symmetric", "another outside port for each destination: any free one, or the next one (sequential)"],
  ["random port", "does not keep the inside port"],
  ["hairpin", "inside hosts reach each other at the outside address"],
  ["accept", "takes what nobody asked for to itself, which spoils the port for whoever sends there next"],
  ["reject", "answers it with an ICMP error"],
  ["blocked", "no UDP at all"],
] as const;

/** The grid as one page that needs nothing from anywhere. */
export function gridPage({ kind, modes, nats, cells, date }: GridPage): string {
  const wrong = cells.filter((cell) => complaints(cell).length > 0).length;
  const verdict = wrong === 0 ? "all as expected" : `${formatNumber(wrong)} not as expected`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ut: every NAT with every NAT</title><style>${GRID_STYLE}</style>
<h1>Every NAT with every NAT</h1>
<p class="lead"><b class="${wrong === 0 ? "good" : "bad"}">${formatNumber(cells.length)} runs, ${verdict}</b>
${KINDS[kind]}, ${date}.</p>
<p>Who opens the pipe is behind the NAT of the row, the other end behind that of the column. In every cell datagrams flow
through the server from the first moment on; the time is from then until they went straight.</p>
<ul class="key"><li class="ice">0.2 s: by plain punching<li class="hardnat">1.2 s, 680 p: by hard-NAT, probes sent by both ends<li
class="relay">server: stays there<li class="wrong">not as expected</ul>
${modes.map((mode) => section(mode, nats, ofMode(cells, mode))).join("\n")}
<h2>In numbers</h2>
${summary(cells)}
<h2>The NATs</h2>
<dl>${NOTES.map(([name, what]) => `<dt>${name}<dd>${what}`).join("")}</dl>
</html>
`;
}

function section(mode: GridMode, nats: readonly GridNat[], cells: readonly GridCell[]): string {
  const head = nats.map((name, index) => `<th scope="col"><span>${named(name)}</span><i>${index + 1}</i></th>`);
  const rows = nats.map((a, index) => {
    const data = nats.map((b) => cellHtml(cells.filter((cell) => cell.a === a && cell.b === b)));
    return `<tr><th scope="row"><i>${index + 1}</i> ${named(a)}</th>${data.join("")}</tr>`;
  });
  return `<h2>${mode} <small>${MODES[mode]}</small></h2>
<div class="scroll"><table class="grid"><thead><tr><td class="corner"></td>${head.join("")}</tr></thead>
<tbody>${rows.join("\n")}</tbody></table></div>`;
}

/** One pair of NATs, run once or more often. */
function cellHtml(cells: readonly GridCell[]): string {
  const [first] = cells;
  if (first === undefined) return "<td></td>";
  const wrong = cells.flatMap(complaints);
  const kind = wrong.length > 0 ? "wrong" : first.way;
  const times = cells.flatMap(({ directMs }) => directMs ?? []);
  const title = times.length === 0 ? "server" : `${formatNumber(median(times) / 1_000, 1)} s`;
  const probes = median(cells.map((cell) => cell.probes));
  const small = [
    ...(cells.length > 1 ? [`${times.length} of ${cells.length}`] : []),
    ...(probes > 0 ? [`${formatNumber(probes)} p`] : []),
    ...new Set(wrong),
  ];
  const lines = [title, ...small.map((text) => `<small>${escaped(text)}</small>`)];
  return `<td class="${escaped(kind)}" title="${escaped(cells.map(factsOf).join("\n"))}">${lines.join("")}</td>`;
}

/** Everything about one run, where the pointer rests on it. */
function factsOf({ a, b, way, directMs, attempts, probes, sent, lost, doubled, firstBackMs }: GridCell): string {
  return [
    `${named(a)} with ${named(b)}: ${way}`,
    directMs === null ? "never direct" : `direct after ${formatNumber(directMs)} ms`,
    `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`,
    `${formatNumber(probes)} probes`,
    `first datagram after ${formatNumber(firstBackMs)} ms`,
    `${lost} of ${formatNumber(sent)} lost, ${doubled} doubled`,
  ].join(", ");
}

function summary(cells: readonly GridCell[]): string {
  const head = SUMMARY.map(({ title }) => `<th scope="col">${title}</th>`).join("");
  const rows = gridGroups(cells).map(
    (group) =>
      `<tr>${SUMMARY.map(({ cell, align }) => `<td class="${align ?? "right"}">${cell(group)}</td>`).join("")}</tr>`,
  );
  return `<div class="scroll"><table class="numbers"><thead><tr>${head}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

function ofMode(cells: readonly GridCell[], mode: GridMode): GridCell[] {
  return cells.filter((cell) => cell.mode === mode);
}

function named(nat: GridNat): string {
  return nat
    .replace("-random-port", ", random port")
    .replace("full-cone", "full cone")
    .replace(/-(?=hairpin|accept|reject|sequential)/, ", ");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
