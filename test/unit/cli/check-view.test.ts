import { expect, test } from "bun:test";
import type { Told } from "../../../src/app/check/run-checks.ts";
import { checkView, formatTotals } from "../../../src/cli/check-view.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { fakeTerminal } from "./fake-terminal.ts";

const config = parseConfig(
  JSON.stringify({ role: "client", tcp: { server_addr: "a:1" }, tls: { ca_cert: "a", cert: "b", key: "c" } }),
  "ut.yaml",
);
const good: Told = { check: "config", verdict: "ok", text: "it is valid" };
const bad: Told = { check: "tcp", verdict: "failed", reason: "tcp-refused", text: "nobody", remedy: ["one", "two"] };
const wary: Told = { check: "clock", verdict: "warning", reason: "clock-skew", text: "early", remedy: [] };
const left: Told = { check: "wireguard", verdict: "skipped", text: "because it is" };

test("lines for a pipe: verdict, check, what was found; below it what to do; the totals", () => {
  const terminal = fakeTerminal();
  using view = checkView(terminal, false);
  view.waiting("reading");
  view.told([good]);
  view.told([]);
  view.told([bad, wary, left]);
  view.report(config, "ut.yaml", [good, bad, wary, left]);
  expect(terminal.printed).toEqual([
    "ok       config       it is valid",
    "FAILED   tcp          nobody\n                      → one\n                      → two",
    "WARNING  clock        early",
    "skipped  wireguard    because it is",
    "\n1 ok, 1 warning, 1 failed, 1 skipped",
  ]);
});

test("what a proxy or a foreign server says moves no cursor and turns no line around", () => {
  const terminal = fakeTerminal();
  using view = checkView(terminal, false);
  view.told([{ ...bad, text: "it said \x1b[2J\u009d0;x\u202e", remedy: ["ask \x07them"] }]);
  expect(terminal.printed).toEqual([
    "FAILED   tcp          it said \ufffd[2J\ufffd0;x\ufffd\n                      → ask \ufffdthem",
  ]);
});

test("a terminal shows what is waited for, and nothing of it stays", () => {
  const terminal = fakeTerminal({ interactive: true });
  using view = checkView(terminal, false);
  view.waiting("reading");
  view.told([good]);
  view.report(config, "ut.yaml", [good]);
  expect(terminal.printed).toEqual(["\x1b[J⠋ reading", "\x1b[1A\r\x1b[Jok       config       it is valid", "\n1 ok"]);
});

test("JSON is one object at the end", () => {
  const terminal = fakeTerminal();
  using view = checkView(terminal, true);
  view.waiting("reading");
  view.told([good]);
  view.report(config, "ut.yaml", [good, bad]);
  expect(terminal.printed.map((text) => JSON.parse(text))).toEqual([
    { config: "ut.yaml", roles: ["client"], ok: false, findings: [good, bad] },
  ]);
});

test("totals leave out what there is none of", () => {
  expect(formatTotals([good, good, wary, wary])).toBe("2 ok, 2 warnings");
});
