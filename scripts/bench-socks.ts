/**
 * What `ut socks` brings: the same download through it, over the relay path and over the direct one, beside `ssh -D` and a
 * SOCKS server without a tunnel, in one run: on loopback and over a WAN of 100 Mbit/s, 20 ms each way, with and without
 * loss. Needs root. `bun scripts/bench-socks.ts [SECONDS] [REPEATS]`
 */
import { Lab } from "../test/lab/lab.ts";
import { SOCKS_WAYS, SocksWays } from "../test/lab/socks-ways.ts";
import { DEFAULT_WAN, type WanOptions } from "../test/lab/wan-link.ts";
import { busyWarning } from "./bench/idle-machine.ts";
import { formatNumber, formatTable, median } from "./bench/table.ts";

const LINKS: readonly (readonly [string, WanOptions | undefined])[] = [
  ["loopback", undefined],
  ["WAN, no loss", DEFAULT_WAN],
  ["WAN, 1 % loss", { ...DEFAULT_WAN, lossPercent: 1 }],
];

const [seconds = 5, repeats = 3] = process.argv.slice(2).map(Number);
if (!(seconds > 0 && repeats > 0)) throw new Error("Usage: bun scripts/bench-socks.ts [SECONDS] [REPEATS]");
const busy = await busyWarning();
if (busy !== undefined) console.log(`Note: ${busy}`);

interface Row {
  readonly way: string;
  readonly rates: readonly number[];
}

const rows: Row[] = SOCKS_WAYS.map((way) => ({ way, rates: [] }));
for (const [, wan] of LINKS) {
  await using lab = await Lab.open();
  const ways = await SocksWays.open(lab, wan);
  for (const [at, way] of SOCKS_WAYS.entries()) {
    const runs: number[] = [];
    for (let run = 0; run < repeats; run++) runs.push(await ways.measure(way, seconds));
    rows[at] = { way, rates: [...(rows[at]?.rates ?? []), median(runs)] };
  }
}

console.log(`Mbit/s of one download, the median of ${repeats} of ${seconds} s each`);
const columns = LINKS.map(([title], at) => ({ title, cell: ({ rates }: Row) => formatNumber(rates[at] ?? 0, 1) }));
const lines = formatTable<Row>([{ title: "way", cell: ({ way }) => way, align: "left" }, ...columns], rows);
console.log(lines.join("\n"));
