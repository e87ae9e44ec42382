/**
 * What the direct path costs: `ut relay` and `ut agent` on loopback, sealed UDP between them, beside a bare UDP forwarder
 * under the same load in the same run. `bun scripts/bench-direct.ts --help` for what can be chosen.
 */
import { parseArgs } from "node:util";
import { utBinary } from "../test/lab/ut-binary.ts";
import { busyWarning } from "./bench/idle-machine.ts";
import { type Latency, measureLatency } from "./bench/loopback-latency.ts";
import { latencyLines, throughputLines } from "./bench/loopback-report.ts";
import { measureThroughput, type Throughput } from "./bench/loopback-throughput.ts";
import { formatNumber } from "./bench/table.ts";

const HELP = `usage: bun scripts/bench-direct.ts [flags]

  --seconds N    of each run that counts      (5)
  --repeats N    runs of each; the median     (3)
  --size N       bytes of a datagram          (1200)
  --mbit N       load of the latency runs     (100)
  --binary FILE  instead of dist/ut, which is built when its source is newer
  --json FILE    every run
`;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    seconds: { type: "string", default: "5" },
    repeats: { type: "string", default: "3" },
    size: { type: "string", default: "1200" },
    mbit: { type: "string", default: "100" },
    binary: { type: "string" },
    json: { type: "string" },
  },
});

if (flags.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const binary = flags.binary ?? (await utBinary());
  const common = {
    binary,
    config: {},
    bytes: Number(flags.size),
    seconds: Number(flags.seconds),
    limits: undefined,
  };
  const busy = await busyWarning();
  if (busy !== undefined) console.log(`Note: ${busy}`);
  const throughput: Throughput[][] = [];
  for (const direction of ["up", "down"] as const) {
    const rows = await repeat(["forwarder", "direct"] as const, (kind) => measureThroughput(kind, direction, common));
    throughput.push(...rows);
    console.log(`\n${throughputLines(direction, rows).join("\n")}`);
    for (const run of rows[1] ?? []) console.log(perEnd(run));
  }
  const load = { mbit: Number(flags.mbit), flows: 1 };
  const latency: Latency[][] = [];
  for (const direction of ["up", "down"] as const) {
    const kinds = ["straight", "forwarder", "direct"] as const;
    const rows = await repeat(kinds, (kind) => measureLatency(kind, direction, { ...common, ...load }));
    latency.push(...rows);
    console.log(`\n${latencyLines(direction, load, rows, "loopback").join("\n")}`);
  }
  if (flags.json) await Bun.write(flags.json, JSON.stringify({ throughput, latency }, null, 1));
}

/** The aim is one for each end: 60,000 datagrams of 1,200 B per CPU-second. */
function perEnd({ perSecond, perCpuSecond, cpuSeconds }: Throughput): string {
  const all = Object.values(cpuSeconds).reduce((sum, seconds) => sum + seconds, 0);
  const ends = Object.entries(cpuSeconds).map(
    ([name, seconds]) => `${name} ${formatNumber((perCpuSecond * all) / seconds)}`,
  );
  return `at ${formatNumber(perSecond)}/s, datagrams per CPU-second of each end: ${ends.join(", ")}`;
}

/** All kinds one right after the other, and that again for each repeat, so that the machine's moods meet all of them. */
async function repeat<Kind, Result>(kinds: readonly Kind[], run: (kind: Kind) => Promise<Result>): Promise<Result[][]> {
  const rows: Result[][] = kinds.map(() => []);
  for (let round = 0; round < Number(flags.repeats); round++)
    for (const [index, kind] of kinds.entries()) rows[index]?.push(await run(kind));
  return rows;
}
