import type { Verdict } from "../app/check/finding.ts";
import type { CheckWatcher, Told } from "../app/check/run-checks.ts";
import type { Config } from "../config/schema.ts";
import { errorMessage, type UtError } from "../core/error.ts";
import type { Terminal } from "./command.ts";
import { LivePanel } from "./live-panel.ts";
import { printable } from "./printable.ts";

/** What a person, or a script, sees of the checks. */
export interface CheckView extends CheckWatcher, Disposable {
  /** There is no config to check. False: the error is still to be told. */
  unusable(path: string, error: UtError): boolean;
  report(config: Config, path: string, told: readonly Told[]): void;
}

/** Redraws what is waited for where somebody looks, prints lines elsewhere, and with `json` nothing but one object. */
export function checkView(terminal: Terminal, json: boolean): CheckView {
  if (json) return jsonView(terminal);
  return terminal.interactive ? panelView(terminal) : lineView(terminal);
}

function jsonView({ out }: Terminal): CheckView {
  const print = (config: string, roles: readonly string[], findings: readonly Told[]) =>
    out(
      JSON.stringify({ config, roles, ok: !findings.some(({ verdict }) => verdict === "failed"), findings }, null, 2),
    );
  return {
    told: () => {},
    waiting: () => {},
    unusable(path, error) {
      const failure = { check: "config", verdict: "failed", reason: error.kind } as const;
      const remedy = ["ut config example"];
      // One problem a line, as `file:line:column: key: …`.
      print(
        path,
        [],
        errorMessage(error)
          .split("\n")
          .map((text) => ({ ...failure, text, remedy })),
      );
      return true;
    },
    report: ({ roles }, path, told) => print(path, roles, told),
    [Symbol.dispose]: () => {},
  };
}

function lineView({ out }: Terminal): CheckView {
  return {
    told(findings) {
      for (const finding of findings) out(formatFinding(finding));
    },
    waiting: () => {},
    unusable: () => false,
    report: (_config, _path, told) => out(`\n${formatTotals(told)}`),
    [Symbol.dispose]: () => {},
  };
}

const REDRAW_MS = 120;
const SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

function panelView(terminal: Terminal): CheckView {
  const panel = new LivePanel(terminal);
  let doing = "";
  let turn = 0;
  const draw = () => panel.draw([`${SPINNER[turn++ % SPINNER.length]} ${doing}`]);
  const timer = setInterval(draw, REDRAW_MS);
  return {
    told(findings) {
      for (const finding of findings) panel.print(formatFinding(finding));
    },
    waiting(next) {
      doing = next;
      draw();
    },
    unusable: () => false,
    report: (_config, _path, told) => panel.print(`\n${formatTotals(told)}`),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

const WORDS: Readonly<Record<Verdict, string>> = { ok: "ok", warning: "WARNING", failed: "FAILED", skipped: "skipped" };
const WORD_WIDTH = 9;
const NAME_WIDTH = 13;

/** The verdict, whose it is, what was found; below it what to do. */
export function formatFinding(finding: Told): string {
  const line = `${WORDS[finding.verdict].padEnd(WORD_WIDTH)}${finding.check.padEnd(NAME_WIDTH)}${printable(finding.text)}`;
  const remedy = "remedy" in finding ? finding.remedy : [];
  return [line, ...remedy.map((text) => `${" ".repeat(WORD_WIDTH + NAME_WIDTH)}→ ${printable(text)}`)].join("\n");
}

/** `14 ok, 1 warning, 2 failed, 1 skipped`, without what there is none of. */
export function formatTotals(told: readonly Told[]): string {
  const counts = Map.groupBy(told, ({ verdict }) => verdict);
  const count = (verdict: Verdict, word: string) => {
    const number = counts.get(verdict)?.length ?? 0;
    return number === 0 ? [] : [`${number} ${word}${verdict === "warning" && number > 1 ? "s" : ""}`];
  };
  return [
    ...count("ok", "ok"),
    ...count("warning", "warning"),
    ...count("failed", "failed"),
    ...count("skipped", "skipped"),
  ].join(", ");
}
