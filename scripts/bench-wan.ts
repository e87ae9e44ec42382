/**
 * The WAN benchmark: datagrams, and TCP inside real WireGuard, through `ut` and beside it over straight UDP, on the same
 * simulated link, in one run. `bun scripts/bench-wan.ts --help` for what can be chosen. Needs root (network namespaces).
 */
import { parseArgs } from "node:util";
import { labProblem } from "../test/lab/lab-problem.ts";
import { utBinary } from "../test/lab/ut-binary.ts";
import { DEFAULT_WAN, type WanOptions } from "../test/lab/wan-link.ts";
import { busyWarning } from "./bench/idle-machine.ts";
import { type Measured, measure } from "./bench/measure.ts";
import { type Row, reportLines } from "./bench/report.ts";
import { allScenarios, chooseScenarios, type Direction, type Scenario } from "./bench/scenarios.ts";
import { median } from "./bench/table.ts";
import { chooseVariants, type Variant } from "./bench/variants.ts";

const HELP = `usage: bun scripts/bench-wan.ts [flags]

what is measured
  --only KINDS         datagrams, tcp                                  (both)
  --scenario WORDS     those whose name contains one of the words      (all)
  --direction D        up, down or both                                (up for datagrams, both for tcp)
  --seconds N          of traffic in each run                          (8 for datagrams, 10 for tcp)
  --repeats N          runs of each, medians are printed               (1)
  --list               print the scenarios and end

the link
  --delay MS  --rate MBIT  --queue PACKETS                             (20, 100, 400)
  --loss PERCENT       instead of the scenario's own
  --seed N             which packets are lost; repeat i uses N + i     (1)

the tunnel
  --ends PAIRS         tcp.congestion of CLIENT/SERVER; \`default\` sets nothing
                       (default/default,cubic/default,cubic/cubic)
  --set KEY=VALUE      a config key of both ends, such as tcp.lanes=3; may be repeated
  --set-client, --set-server KEY=VALUE
  --vary KEY=V,V,…     one row for each value; may be repeated: every combination
  --no-straight        without the straight UDP rows
  --straight-only      nothing but them: needs no \`ut\`
  --binary FILE        instead of dist/ut, which is built when its source is newer

output
  --label TEXT         put into the heading and the JSON
  --json FILE          every run with every counter that moved
`;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    list: { type: "boolean" },
    only: { type: "string" },
    scenario: { type: "string" },
    direction: { type: "string" },
    seconds: { type: "string" },
    repeats: { type: "string", default: "1" },
    delay: { type: "string" },
    rate: { type: "string" },
    queue: { type: "string" },
    loss: { type: "string" },
    seed: { type: "string", default: "1" },
    ends: { type: "string", default: "default/default,cubic/default,cubic/cubic" },
    set: { type: "string", multiple: true, default: [] },
    "set-client": { type: "string", multiple: true, default: [] },
    "set-server": { type: "string", multiple: true, default: [] },
    vary: { type: "string", multiple: true, default: [] },
    "no-straight": { type: "boolean", default: false },
    "straight-only": { type: "boolean", default: false },
    binary: { type: "string" },
    label: { type: "string", default: "" },
    json: { type: "string" },
  },
});

if (flags.help) console.log(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const link: WanOptions = {
    ...DEFAULT_WAN,
    delayMs: number("delay", flags.delay) ?? DEFAULT_WAN.delayMs,
    rateMbit: number("rate", flags.rate) ?? DEFAULT_WAN.rateMbit,
    queuePackets: number("queue", flags.queue) ?? DEFAULT_WAN.queuePackets,
  };
  const loss = number("loss", flags.loss);
  const scenarios = chooseScenarios(allScenarios(link), words(flags.only), words(flags.scenario)).map((scenario) =>
    loss === undefined ? scenario : { ...scenario, link: { ...scenario.link, lossPercent: loss } },
  );
  if (flags.list || scenarios.length === 0) {
    console.log(
      allScenarios(link)
        .map(({ kind, name }) => `${kind.padEnd(10)} ${name}`)
        .join("\n"),
    );
    return flags.list ? 0 : 2;
  }
  const problem = labProblem();
  if (problem !== undefined) {
    console.error(`Cannot build the WAN lab: ${problem}`);
    return 1;
  }
  const binary = flags["straight-only"] ? "" : (flags.binary ?? (await utBinary()));
  const variants = flags["straight-only"]
    ? chooseVariants({ ends: [], set: [], setClient: [], setServer: [], vary: [] }, true)
    : chooseVariants(
        {
          ends: words(flags.ends),
          set: flags.set,
          setClient: flags["set-client"],
          setServer: flags["set-server"],
          vary: flags.vary,
        },
        !flags["no-straight"],
      );
  console.log(
    `WAN ${link.delayMs} ms each way, ${link.rateMbit} Mbit/s, queue ${link.queuePackets} packets; seed ${flags.seed}, ` +
      `${flags.repeats} run(s) of each${flags.label ? `; ${flags.label}` : ""}`,
  );
  const warning = await busyWarning();
  if (warning !== undefined) console.error(`Warning: ${warning}`);
  const all: Row[] = [];
  for (const scenario of scenarios)
    for (const direction of directions(scenario)) {
      const rows = await measureRow(scenario, direction, variants, binary);
      all.push(...rows);
      console.log(`\n${reportLines(scenario, direction, rows).join("\n")}`);
      // After every block: a run that is cut short has still said what it knows.
      if (flags.json) await Bun.write(flags.json, JSON.stringify({ label: flags.label, link, rows: all }, null, 1));
    }
  return all.some((row) => row.failure !== undefined) ? 1 : 0;
}

/** All variants of one scenario, one right after the other, and that again for each repeat. */
async function measureRow(
  scenario: Scenario,
  direction: Direction,
  variants: readonly Variant[],
  binary: string,
): Promise<Row[]> {
  const rows: Row[] = variants.map((variant) => ({
    scenario: scenario.name,
    direction,
    variant: variant.name,
    runs: [],
    median: {},
  }));
  const seconds = number("seconds", flags.seconds) ?? (scenario.kind === "datagrams" ? 8 : 10);
  for (let repeat = 0; repeat < Number(flags.repeats); repeat++)
    for (const [index, variant] of variants.entries()) {
      const row = rows[index];
      if (row === undefined) continue;
      try {
        row.runs.push(
          await measure(scenario, direction, variant, { binary, seconds, seed: Number(flags.seed) + repeat }),
        );
      } catch (error) {
        row.failure = error instanceof Error ? error.message : String(error);
      }
    }
  for (const row of rows) row.median = medians(row.runs);
  return rows;
}

/** A counter that did not move in a run is absent there and counts as 0. */
function medians(runs: readonly Measured[]): Measured {
  const keys = new Set(runs.flatMap((run) => Object.keys(run)));
  return Object.fromEntries([...keys].map((key) => [key, median(runs.map((run) => run[key] ?? 0))]));
}

function directions(scenario: Scenario): Direction[] {
  const wanted = flags.direction ?? (scenario.kind === "datagrams" ? "up" : "both");
  if (wanted === "both") return ["up", "down"];
  if (wanted === "up" || wanted === "down") return [wanted];
  throw new Error(`Cannot use --direction ${wanted}: expected up, down or both`);
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(",").filter((word) => word !== "");
}

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value >= 0)) throw new Error(`Cannot use --${name} ${text}: expected a number`);
  return value;
}
