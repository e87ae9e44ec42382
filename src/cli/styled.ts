import { printable } from "./printable.ts";

export type Tone = "plain" | "strong" | "quiet" | "good" | "warn" | "bad" | "up" | "down";

/** A piece of a line that looks the same all along. */
export interface Span {
  readonly text: string;
  readonly tone?: Tone;
}

export type StyledLine = readonly Span[];

/** SGR parameters (ECMA-48 §8.3.117) of the sixteen colours, which every theme keeps legible. */
const SGR: Readonly<Record<Tone, string>> = {
  plain: "",
  strong: "1",
  quiet: "2",
  good: "32",
  warn: "33",
  bad: "1;31",
  up: "36",
  down: "35",
};

export interface PaintOptions {
  /** What is longer is cut, with a mark. */
  readonly columns: number;
  readonly hasColour: boolean;
}

/** A line for a terminal. What a stranger may have put into it moves no cursor. */
export function paint(line: StyledLine, { columns, hasColour }: PaintOptions): string {
  const isCut = lengthOf(line) > columns;
  let room = isCut ? columns - 1 : columns;
  let text = "";
  for (const { text: words, tone = "plain" } of line) {
    const piece = [...printable(words)].slice(0, room).join("");
    room -= [...piece].length;
    const code = hasColour ? SGR[tone] : "";
    text += code === "" || piece === "" ? piece : `\x1b[${code}m${piece}\x1b[0m`;
  }
  return isCut ? `${text}…` : text.trimEnd();
}

/** In cells of a terminal, for text in which every character takes one. */
export function lengthOf(line: StyledLine): number {
  return line.reduce((sum, { text }) => sum + [...text].length, 0);
}
