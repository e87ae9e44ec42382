import { expect, test } from "bun:test";
import { bar, LivePanel } from "../../../src/cli/live-panel.ts";
import { fakeTerminal } from "./fake-terminal.ts";

test("a panel is redrawn where it stood, and gives way to what is printed", () => {
  const terminal = fakeTerminal({ columns: 11 });
  const panel = new LivePanel(terminal);
  panel.print("title");
  panel.draw(["one", "two"]);
  panel.draw(["a line that is too long"]);
  panel.print("step");
  panel.print("end");
  expect(terminal.printed).toEqual([
    "title",
    "\x1b[Jone\ntwo",
    "\x1b[2A\r\x1b[Ja line tha",
    "\x1b[1A\r\x1b[Jstep",
    "end",
  ]);
});

test("a bar fills by eighths of a cell and never leaves its width", () => {
  expect([-1, 0, 0.125, 0.5, 0.5625, 1, 2].map((share) => bar(share, 4))).toEqual([
    "····",
    "····",
    "▌···",
    "██··",
    "██▎·",
    "████",
    "████",
  ]);
});
