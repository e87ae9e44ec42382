import { runBench } from "../app/bench/bench.ts";
import { MIN_BENCH_BYTES } from "../app/bench/bench-load.ts";
import { runBenchWorker } from "../app/bench/bench-worker.ts";
import { MAX_DATAGRAM_BYTES } from "../app/demo/demo-traffic.ts";
import { formatBench, formatMeasuring } from "./bench-view.ts";
import { type Command, integerFlag, parseFlags, refusePositionals } from "./command.ts";

const FLAGS = {
  seconds: { type: "string" },
  size: { type: "string" },
  lanes: { type: "string" },
  json: { type: "boolean" },
} as const;

/** In front of what `ut bench` starts itself with; no flag, since nobody but `ut bench` has a use for it. */
const WORKER = "worker-of-ut-bench";
const EXIT_INTERRUPTED = 130;

const HELP = `ut bench [flags]

Measures on 127.0.0.1, with throw-away certificates, what ut costs on this machine: throughput, CPU time per datagram
and latency, beside a bare UDP forwarder under the same load in the same run. Takes six times --seconds and two cores.

  --seconds N   of each measurement, 1 to 600 (3)
  --size N      bytes of every datagram, ${MIN_BENCH_BYTES} to ${MAX_DATAGRAM_BYTES} (1200)
  --lanes N     1 to 32 (5)
  --json        one JSON object instead of the table

scripts/bench-loopback.ts of the source measures more, with cgroups, as root.`;

/** `ut bench`: what `ut` costs on this machine, beside a bare UDP forwarder. `run` is what tests replace. */
export function benchCommand(run: typeof runBench): Command {
  return {
    name: "bench",
    summary: "measure throughput, CPU per datagram and latency on this machine",
    help: HELP,
    async run(argv, terminal) {
      if (argv[0] === WORKER) {
        await runBenchWorker();
        return 0;
      }
      const flags = parseFlags(argv, FLAGS);
      refusePositionals("ut bench", flags);
      const json = flags.values.json === true;
      const report = await run(
        {
          seconds: integerFlag(flags, "seconds", { min: 1, max: 600 }) ?? 3,
          size: integerFlag(flags, "size", { min: MIN_BENCH_BYTES, max: MAX_DATAGRAM_BYTES }) ?? 1_200,
          lanes: integerFlag(flags, "lanes", { min: 1, max: 32 }) ?? 5,
          worker: [...thisProgram(), "bench", WORKER],
          signal: terminal.signal,
        },
        {
          measuring: (path, measurement) => {
            if (!json) terminal.out(formatMeasuring(path, measurement));
          },
        },
      );
      terminal.out(json ? JSON.stringify(report, null, 2) : formatBench(report));
      return report.interrupted ? EXIT_INTERRUPTED : 0;
    },
  };
}

export const bench: Command = benchCommand(runBench);

/** The command that runs this program again: the compiled binary is all of it, from source Bun needs the entry file. */
function thisProgram(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
}
