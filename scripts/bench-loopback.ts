/**
 * The loopback benchmark: what the compiled binary costs in CPU, latency and memory, beside a bare UDP forwarder under
 * the same load in the same run. `bun scripts/bench-loopback.ts --help` for what can be chosen. As root it holds every
 * process of a path to one core and 512 MiB where the aims ask for it; without, it says what it leaves out.
 */
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { utBinary } from "../test/lab/ut-binary.ts";
import { overlay, type UtConfig } from "../test/lab/ut-tunnel.ts";
import { Cgroup } from "./bench/cgroup.ts";
import { busyWarning } from "./bench/idle-machine.ts";
import { type Latency, measureLatency } from "./bench/loopback-latency.ts";
import { type MemoryRow, measureManyClients, measureSessionMemory } from "./bench/loopback-memory.ts";
import type { PathKind } from "./bench/loopback-path.ts";
import { latencyLines, memoryLines, throughputLines } from "./bench/loopback-report.ts";
import { type LoadDirection, measureThroughput, type Throughput } from "./bench/loopback-throughput.ts";

const HELP = `usage: bun scripts/bench-loopback.ts [flags]

  --only KINDS      throughput, latency, memory                    (all)
  --paths KINDS     straight, forwarder, ut                        (all; throughput without straight)
  --directions D    up, down, both                                 (throughput: all three, latency: up and down)
  --seconds N       of each run that counts                        (5)
  --repeats N       runs of each; the median by the figure that has an aim is shown, all are in the JSON (1)
  --size N          bytes of a datagram                            (1200)
  --mbit N          load of the latency and one-session memory runs (100)
  --flows N         in the latency runs                            (10)
  --clients N       of the memory run, each with --lanes lanes     (200)
  --lanes N                                                        (5)
  --set KEY=VALUE   a config key of both ends, such as tcp.congestion=cubic; may be repeated
  --free            without cgroups, also as root
  --binary FILE     instead of dist/ut, which is built when its source is newer
  --label TEXT      into the heading and the JSON
  --json FILE       every run
`;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    only: { type: "string", default: "throughput,latency,memory" },
    paths: { type: "string", default: "straight,forwarder,ut" },
    directions: { type: "string" },
    seconds: { type: "string", default: "5" },
    repeats: { type: "string", default: "1" },
    size: { type: "string", default: "1200" },
    mbit: { type: "string", default: "100" },
    flows: { type: "string", default: "10" },
    clients: { type: "string", default: "200" },
    lanes: { type: "string", default: "5" },
    set: { type: "string", multiple: true, default: [] },
    free: { type: "boolean", default: false },
    binary: { type: "string" },
    label: { type: "string", default: "" },
    json: { type: "string" },
  },
});

/** DESIGN and the seed: what a small VPS or router gives a process. */
const LIMITS = { cores: 1, memoryBytes: 512 * 1024 * 1024 };
/** Of all clients of the memory run together: about 100 Mbit/s of full datagrams. */
const MEMORY_PER_SECOND = 10_000;

if (flags.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const binary = flags.binary ?? (await utBinary());
  const cgroupProblem = flags.free ? "--free" : Cgroup.problem();
  const limits = cgroupProblem === undefined ? LIMITS : undefined;
  const config = flags.set.reduce((sum, text) => overlay(sum, setting(text)), {
    tcp: { lanes: Number(flags.lanes) },
  } as UtConfig);
  const common = { binary, config, bytes: Number(flags.size), seconds: Number(flags.seconds) };
  const only = words(flags.only);
  const results: { throughput: Throughput[][]; latency: Latency[][]; memory: MemoryRow[] } = {
    throughput: [],
    latency: [],
    memory: [],
  };

  console.log(
    `Loopback, ${flags.size} B datagrams, ${flags.lanes} lanes, ${flags.repeats} run(s) of each, ` +
      `${navigator.hardwareConcurrency} cores${flags.label ? `; ${flags.label}` : ""}`,
  );
  const busy = await busyWarning();
  if (busy !== undefined) console.log(`Note: ${busy}`);

  if (only.includes("throughput")) {
    const kinds = words(flags.paths).filter((kind): kind is PathKind => kind === "forwarder" || kind === "ut");
    for (const direction of words(flags.directions ?? "up,down,both") as LoadDirection[]) {
      const rows = await repeat(kinds, (kind) => measureThroughput(kind, direction, { ...common, limits: undefined }));
      results.throughput.push(...rows);
      console.log(`\n${throughputLines(direction, rows).join("\n")}`);
    }
  }
  if (only.includes("latency")) {
    const load = { mbit: Number(flags.mbit), flows: Number(flags.flows) };
    for (const direction of words(flags.directions ?? "up,down") as ("up" | "down")[]) {
      const rows = await repeat(words(flags.paths) as PathKind[], (kind) =>
        measureLatency(kind, direction, { ...common, ...load, limits }),
      );
      results.latency.push(...rows);
      console.log(`\n${latencyLines(direction, load, rows, cgroupProblem).join("\n")}`);
    }
  }
  if (only.includes("memory")) {
    const load = { mbit: Number(flags.mbit), perSecond: MEMORY_PER_SECOND };
    const options = { ...common, ...load, limits, clients: Number(flags.clients), lanes: Number(flags.lanes) };
    const kinds = words(flags.paths).filter((kind): kind is PathKind => kind === "forwarder" || kind === "ut");
    const rows: MemoryRow[] = [];
    for (const kind of kinds) rows.push(...(await measureSessionMemory(kind, options)));
    const many = await measureManyClients(options);
    results.memory.push(...rows, many);
    console.log(`\n${memoryLines(load, rows, many, cgroupProblem).join("\n")}`);
  }
  if (flags.json) await Bun.write(flags.json, JSON.stringify({ label: flags.label, ...results }, null, 1));
}

/** All kinds one right after the other, and that again for each repeat, so that the machine's moods meet all of them. */
async function repeat<Result>(
  kinds: readonly PathKind[],
  run: (kind: PathKind) => Promise<Result>,
): Promise<Result[][]> {
  const rows: Result[][] = kinds.map(() => []);
  for (let round = 0; round < Number(flags.repeats); round++)
    for (const [index, kind] of kinds.entries()) rows[index]?.push(await run(kind));
  return rows;
}

/** `tcp.lanes=3` as a config with that one leaf; the value is read as YAML. */
function setting(text: string): UtConfig {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`Cannot use the setting ${text}: expected key.path=value`);
  const value: unknown = parse(text.slice(equals + 1));
  const keys = text.slice(0, equals).split(".");
  return keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as UtConfig;
}

function words(text: string): string[] {
  return text.split(",").filter((word) => word !== "");
}
