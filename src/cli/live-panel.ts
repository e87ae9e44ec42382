import type { Terminal } from "./command.ts";

const CLEAR_BELOW = "\x1b[J";
const up = (lines: number) => (lines > 0 ? `\x1b[${lines}A\r` : "");

/**
 * Lines at the end of a terminal that are redrawn in place; what is printed above them stays and scrolls. For a stdout
 * that somebody looks at (`terminal.interactive`).
 */
export class LivePanel {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Put `lines` where the last ones stood, cut to the terminal's width: a wrapped line could not be taken back. */
  draw(lines: readonly string[]): void {
    const cut = lines.map((line) => [...line].slice(0, this.#terminal.columns - 1).join(""));
    this.#terminal.out(`${up(this.#drawn)}${CLEAR_BELOW}${cut.join("\n")}`);
    this.#drawn = lines.length;
  }

  /** Print `text` for good. The panel is gone until it is drawn again. */
  print(text: string): void {
    this.#terminal.out(this.#drawn > 0 ? `${up(this.#drawn)}${CLEAR_BELOW}${text}` : text);
    this.#drawn = 0;
  }
}

/** `share` (0 to 1) of `width` cells filled, to an eighth of a cell. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const part = " ▏▎▍▌▋▊▉"[eighths % 8] ?? "";
  const full = "█".repeat(eighths >> 3);
  return (eighths % 8 === 0 ? full : full + part).padEnd(width, "·");
}
