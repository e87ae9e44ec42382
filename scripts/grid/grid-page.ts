import { complaints, type GridCell, type GridMode, type GridNat } from "../../test/contract/grid.ts";
import { formatNumber } from "../bench/table.ts";
import { gridSummary } from "./grid-table.ts";

export interface GridPage {
  readonly kind: "lab" | "sim";
  readonly modes: readonly GridMode[];
  readonly nats: readonly GridNat[];
  readonly cells: readonly GridCell[];
  /** ISO 8601. */
  readonly date: string;
}

const KINDS = {
  lab: "real binaries behind NATs made of nftables",
  sim: "whole peers in a simulated internet",
};

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e8eb); --faint: light-dark(#667080, #98a2b0);
  --paper: light-dark(#fff, #14171b); --line: light-dark(#dfe3e8, #2c323a);
  --ice: light-dark(#d9f2df, #123b22); --hardnat: light-dark(#dbe9ff, #15305c); --relay: light-dark(#eef0f3, #22272e);
  --wrong: light-dark(#ffd9d6, #6b1a17); }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { font-weight: 500; text-align: left; padding: .25rem .5rem; white-space: nowrap }
thead th { vertical-align: bottom } thead th span { writing-mode: vertical-rl; transform: rotate(180deg) }
td { border: 1px solid var(--line); padding: .25rem .5rem; min-width: 5rem; vertical-align: top }
td b { display: block; font-weight: 600 } td small { display: block; color: var(--faint); font-size: .75rem; line-height: 1.35 }
.ice { background: var(--ice) } .hardnat { background: var(--hardnat) } .relay { background: var(--relay) }
.wrong { background: var(--wrong) } .wrong small:last-child { color: inherit }
.key span { padding: .1rem .6rem; border-radius: .3rem; margin-right: .5rem }
pre { overflow-x: auto; color: var(--faint) }`;

/** The grid as one page that needs nothing from anywhere. */
export function gridPage({ kind, modes, nats, cells, date }: GridPage): string {
  const tables = modes.map((mode) => {
    const of = cells.filter((cell) => cell.mode === mode);
    return `<h2>hard_nat.mode: ${mode}</h2><div class="scroll"><table>${head(nats)}<tbody>${nats
      .map((a) => row(a, nats, of))
      .join("\n")}</tbody></table></div>`;
  });
  const wrong = cells.filter((cell) => complaints(cell).length > 0).length;
  const verdict = wrong === 0 ? "every one as expected" : `${wrong} not as expected`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ut: every NAT with every NAT</title><style>${STYLE}</style>
<h1>Every NAT with every NAT</h1>
<p>${KINDS[kind]}, ${date}: ${cells.length} cells, ${verdict}. Rows: the NAT in front of the end that opens the pipe;
columns: in front of the other one. In every cell datagrams flow through the server from the first moment on.</p>
<p class="key"><span class="ice">plain punching</span><span class="hardnat">hard-NAT</span><span class="relay">through
the server</span><span class="wrong">not as expected</span> Seconds: from the pipe's opening until it was direct.</p>
${tables.join("\n")}
<h2>In numbers</h2><pre>${escaped(gridSummary(cells).join("\n"))}</pre>
</html>
`;
}

function head(nats: readonly GridNat[]): string {
  return `<thead><tr><th></th>${nats.map((name) => `<th><span>${name}</span></th>`).join("")}</tr></thead>`;
}

function row(a: GridNat, nats: readonly GridNat[], cells: readonly GridCell[]): string {
  return `<tr><th>${a}</th>${nats.map((b) => cellHtml(cells.find((cell) => cell.a === a && cell.b === b))).join("")}</tr>`;
}

function cellHtml(cell: GridCell | undefined): string {
  if (cell === undefined) return "<td></td>";
  const { way, directMs, probes, attempts, sent, lost, doubled, firstBackMs } = cell;
  const wrong = complaints(cell);
  const title = directMs === null ? "relay" : `${formatNumber(directMs / 1_000, 1)} s`;
  const facts = [
    `${way}, ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`,
    probes > 0 ? `${formatNumber(probes)} probes` : "no probes",
    `${lost} of ${sent} lost${doubled > 0 ? `, ${doubled} doubled` : ""}`,
    `first after ${formatNumber(firstBackMs)} ms`,
    ...wrong,
  ];
  const kind = wrong.length > 0 ? "wrong" : way;
  return `<td class="${escaped(kind)}"><b>${title}</b>${facts.map((fact) => `<small>${escaped(fact)}</small>`).join("")}</td>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
