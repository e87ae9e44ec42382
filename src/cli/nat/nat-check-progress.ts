import { type NatSurveyStep, SURVEY_MS } from "../../app/nat/nat-survey.ts";
import type { NatTest } from "../../core/nat/classifier-options.ts";
import { now } from "../../io/clock.ts";
import type { Terminal } from "../command.ts";
import { bar, LivePanel } from "../live-panel.ts";
import { countServers, formatOutcome } from "./nat-check-servers.ts";

const REDRAW_MS = 100;
const BAR_WIDTH = 30;
/** What is redrawn must fit the window: of many servers the last ones are shown. */
const MAX_SHOWN = 16;

/** What a check does, while it does it. Disposal ends the redrawing. */
export interface CheckProgress extends Disposable {
  step(step: NatSurveyStep): void;
  /** Prints the result in the place of what is shown. */
  report(text: string): void;
}

/** Redraws itself where somebody looks, prints lines elsewhere, and with `json` nothing but the report. */
export function checkProgress(terminal: Terminal, servers: number, json: boolean): CheckProgress {
  if (json) return { step: () => {}, report: terminal.out, [Symbol.dispose]: () => {} };
  return terminal.interactive ? panelProgress(terminal, servers) : lineProgress(terminal, servers);
}

function lineProgress(terminal: Terminal, servers: number): CheckProgress {
  terminal.out(lookingUp(servers));
  return {
    step: (step) => terminal.out(formatStep(step, servers)),
    report: (text) => terminal.out(`\n${text}`),
    [Symbol.dispose]: () => {},
  };
}

function panelProgress(terminal: Terminal, servers: number): CheckProgress {
  const panel = new LivePanel(terminal);
  const startedAt = now();
  const settled: string[] = [];
  let doing = lookingUp(servers);
  const draw = () => panel.draw([timeBar(now() - startedAt), ...settled.slice(-MAX_SHOWN), doing]);
  const timer = setInterval(draw, REDRAW_MS);
  draw();
  return {
    step(step) {
      if (step.type === "server") settled.push(formatStep(step, servers));
      else doing = formatStep(step, servers);
      draw();
    },
    report(text) {
      clearInterval(timer);
      panel.print(text);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function timeBar(elapsedMs: number): string {
  return `${bar(elapsedMs / SURVEY_MS, BAR_WIDTH)} ${(elapsedMs / 1_000).toFixed(1)} of at most 5 s`;
}

function lookingUp(servers: number): string {
  return `looking up ${countServers(servers)}`;
}

function formatStep(step: NatSurveyStep, servers: number): string {
  switch (step.type) {
    case "asking":
      return `asking ${countServers(servers)} and the gateway`;
    case "server":
      return `  ${step.server.name}: ${formatOutcome(step.server.outcome)}`;
    case "test":
      return TESTS[step.test];
    default:
      return step satisfies never;
  }
}

const TESTS: Readonly<Record<NatTest, string>> = {
  mapping: "testing whether every destination sees the same outside port",
  filtering: "testing what is let in",
  hairpin: "testing whether hosts behind the same NAT reach each other from outside",
};
