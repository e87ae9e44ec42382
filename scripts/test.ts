import { Glob } from "bun";

/**
 * Everything that is checked, in the order in which it is cheapest to fail: `npm test`. Ends with one line,
 * `N passed, N failed, N skipped`, and exits 0 only if nothing failed. `bun scripts/test.ts unit lab` runs some, `all`
 * also what takes too long for every day: the files named `*.long.test.ts`, as CI does.
 */
interface Stage {
  readonly name: string;
  readonly command: readonly string[];
  /** Only for `all`, or by its name. */
  readonly long?: boolean;
  /** It mostly waits, and measures nothing: it runs at the same time as the stages before it. */
  readonly beside?: boolean;
}

/** Labs that measure the tunnel, for which the machine must be quiet; all others find their way through NATs. */
const TUNNEL_LABS = /\/(wireguard|peer-wireguard|restart|bench-wan|readme|lab)[.-]/;
const LONG = ".long.test.ts";
const filesOf = (pattern: string) => [...new Glob(pattern).scanSync(".")].sort();
const labs = filesOf("test/lab/*.test.ts").filter((path) => !path.endsWith(LONG));
const ends = filesOf("test/e2e/*.test.ts").filter((path) => !path.endsWith(LONG));
/** It measures as well. */
const BENCH = "test/e2e/bench.test.ts";
const natLabs = labs.filter((path) => !TUNNEL_LABS.test(path));

const bun = process.execPath;
/** Bun's own limit, 5 s for a test, would be a measurement of the machine: one that is busy needs longer, and may. */
const test = [bun, "test", "--timeout=30000"];
const STAGES: readonly Stage[] = [
  { name: "format and lint", command: [bun, "x", "biome", "check", "."] },
  { name: "types", command: [bun, "x", "tsc", "--noEmit"] },
  { name: "types of the page", command: [bun, "x", "tsc", "--noEmit", "-p", "src/web"] },
  { name: "arch", command: [...test, "test/arch"] },
  { name: "unit", command: [...test, "test/unit"] },
  { name: "fuzz", command: [...test, "test/fuzz"] },
  { name: "sim", command: [...test, "test/sim"] },
  { name: "build", command: [bun, "run", "scripts/build.ts"] },
  { name: "e2e", command: [...test, ...ends.filter((path) => path !== BENCH)] },
  { name: "lab: NATs, even", command: [...test, ...natLabs.filter((_, index) => index % 2 === 0)], beside: true },
  { name: "lab: NATs, odd", command: [...test, ...natLabs.filter((_, index) => index % 2 === 1)], beside: true },
  { name: "lab: tunnel", command: [...test, ...labs.filter((path) => TUNNEL_LABS.test(path)), BENCH] },
  { name: "long", command: [...test, ...filesOf(`test/{e2e,lab}/*${LONG}`)], long: true },
];

interface Outcome {
  readonly stage: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

/** `lab` names all stages of the lab. */
const groupOf = (stage: Stage) => stage.name.split(":")[0];
const args = process.argv.slice(2);
const isAll = args.includes("all");
const wanted = args.filter((name) => name !== "all");
const unknown = wanted.filter((name) => !STAGES.some((stage) => groupOf(stage) === name));
if (unknown.length > 0) {
  console.error(`Unknown stage ${unknown.join(", ")}: ${[...new Set(STAGES.map(groupOf))].join(", ")}`);
  process.exit(2);
}

const outcomes: Outcome[] = [];
const isChosen = (stage: Stage) =>
  wanted.length === 0 ? isAll || stage.long !== true : wanted.includes(groupOf(stage) ?? "");
const chosen = STAGES.filter(isChosen);
while (chosen.length > 0) {
  const others = chosen.findIndex((stage, index) => index > 0 && stage.beside !== true);
  const together = chosen.splice(0, others === -1 ? chosen.length : others);
  // The first one's output is shown as it comes, each other one's in one piece behind it.
  outcomes.push(...(await Promise.all(together.map((stage, index) => runStage(stage, index === 0)))));
}

console.log("");
for (const { stage, passed, failed, skipped, seconds } of outcomes)
  console.log(`${stage.padEnd(16)} ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds.toFixed(0)} s`);
const sum = (pick: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + pick(outcome), 0);
const failed = sum((outcome) => outcome.failed);
console.log(
  `${sum((outcome) => outcome.passed)} passed, ${failed} failed, ${sum((outcome) => outcome.skipped)} skipped`,
);
process.exit(failed === 0 ? 0 : 1);

async function runStage(stage: Stage, live: boolean): Promise<Outcome> {
  const title = `\n== ${stage.name}: ${stage.command.slice(1).join(" ")}`;
  if (live) console.log(title);
  const started = performance.now();
  const child = Bun.spawn([...stage.command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    echo(child.stdout, live ? process.stdout : undefined),
    echo(child.stderr, live ? process.stderr : undefined),
    child.exited,
  ]);
  if (!live) console.log(`${title}\n${out}${err}`);
  const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(out + err)?.[1] ?? 0);
  const tests = count("pass") + count("fail");
  const failed = count("fail");
  // A stage that is no test run counts as one; a run that died before its summary has failed too.
  const crashed = code !== 0 && failed === 0 ? 1 : 0;
  return {
    stage: stage.name,
    passed: tests > 0 ? count("pass") : 1 - crashed,
    failed: failed + crashed,
    skipped: count("skip"),
    seconds: (performance.now() - started) / 1_000,
  };
}

/** Keep a stream, and show it as it comes. */
async function echo(stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream | undefined): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    to?.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
