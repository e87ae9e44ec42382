import { randomInt } from "node:crypto";
import { type DemoReport, type DemoWatcher, runDemo } from "../app/demo/demo.ts";
import { type Command, integerFlag, parseFlags, refusePositionals, type Terminal } from "./command.ts";
import { DEMO_TITLE, formatReport, formatStep, progressLine, progressPanel } from "./demo-view.ts";
import { LivePanel } from "./live-panel.ts";

const FLAGS = {
  seconds: { type: "string" },
  rate: { type: "string" },
  lanes: { type: "string" },
  seed: { type: "string" },
  json: { type: "boolean" },
} as const;

const HELP = `ut demo [flags]

Runs a client and a server on 127.0.0.1 with certificates that live in memory only, sends datagrams of 0 to 65,507 bytes
through their lanes to an echo and checks every byte that comes back. On the way a network between the two resets a
lane, and the sender moves to another port. Needs no privileges, no config and no free port of a certain number.

  --seconds N   of traffic, 1 to 3600 (6)
  --rate N      datagrams a second, 1 to 100000 (5000); a slow machine sends fewer
  --lanes N     1 to 32 (5)
  --seed N      sizes and contents of the datagrams, 1 to 4294967295 (random; a failure prints it)
  --json        one JSON object instead of progress and table

Exit code 0: every datagram came back unchanged. 1: not so, and what differed. 130: interrupted.`;

const MAX_SEED = 0xffff_ffff;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

/**
 * `ut demo`: the main job on loopback with throw-away certificates. 0 only if every datagram came back unchanged, else
 * 1; 130 when interrupted. `run` is what tests replace.
 */
export function demoCommand(run: typeof runDemo): Command {
  return {
    name: "demo",
    summary: "see it work: client, server and traffic on this machine, every byte checked",
    help: HELP,
    async run(argv, terminal) {
      const flags = parseFlags(argv, FLAGS);
      refusePositionals("ut demo", flags);
      const seconds = integerFlag(flags, "seconds", { min: 1, max: 3_600 }) ?? 6;
      const view = flags.values.json === true ? jsonView(terminal) : textView(terminal, seconds);
      const report = await run(
        {
          seconds,
          rate: integerFlag(flags, "rate", { min: 1, max: 100_000 }) ?? 5_000,
          lanes: integerFlag(flags, "lanes", { min: 1, max: 32 }) ?? 5,
          seed: integerFlag(flags, "seed", { min: 1, max: MAX_SEED }) ?? randomInt(1, MAX_SEED),
          signal: terminal.signal,
        },
        view,
      );
      view.report(report);
      return exitCode(report);
    },
  };
}

export const demo: Command = demoCommand(runDemo);

interface DemoView extends DemoWatcher {
  report(report: DemoReport): void;
}

function jsonView(terminal: Terminal): DemoView {
  return {
    step: () => {},
    progress: () => {},
    report: (report) => terminal.out(JSON.stringify(report, null, 2)),
  };
}

function textView(terminal: Terminal, seconds: number): DemoView {
  return terminal.interactive ? panelView(terminal, seconds) : lineView(terminal, seconds);
}

function panelView(terminal: Terminal, seconds: number): DemoView {
  const panel = new LivePanel(terminal);
  panel.print(DEMO_TITLE);
  return {
    step: (step) => panel.print(formatStep(step)),
    progress: (progress) => panel.draw(progressPanel(progress, seconds)),
    report: (report) => panel.print(formatReport(report)),
  };
}

/** For a pipe or a log: a line for each second of traffic. */
function lineView(terminal: Terminal, seconds: number): DemoView {
  let next = 1;
  terminal.out(DEMO_TITLE);
  return {
    step: (step) => terminal.out(formatStep(step)),
    progress(progress) {
      if (progress.seconds < next) return;
      next = Math.floor(progress.seconds) + 1;
      terminal.out(progressLine(progress, seconds));
    },
    report: (report) => terminal.out(formatReport(report)),
  };
}

function exitCode(report: DemoReport): number {
  if (report.interrupted) return EXIT_INTERRUPTED;
  return report.ok ? 0 : EXIT_FAILED;
}
