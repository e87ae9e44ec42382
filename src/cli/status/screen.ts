/** What a person did at the keyboard. */
export type Key = "quit" | "up" | "down" | "page-up" | "page-down" | "home" | "end";

export interface ScreenHooks {
  key(key: Key): void;
  resized(): void;
}

/** A whole terminal to draw on. Disposal gives it back as it was. */
export interface Screen extends Disposable {
  readonly columns: number;
  readonly rows: number;
  /** At most as many lines as there are rows, none longer than a row. */
  draw(lines: readonly string[]): void;
}

/** DEC private modes (xterm "Alt Screen", cursor; synchronized output, which others ignore). */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const [BEGIN_FRAME, END_FRAME] = ["\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"];
const CLEAR_TO_END_OF_LINE = "\x1b[K";

/** Takes stdout, and stdin where that is a terminal, too. */
export function openScreen(hooks: ScreenHooks): Screen {
  const { stdin, stdout } = process;
  const onData = (data: Buffer) => {
    for (const key of keysOf(data.toString())) hooks.key(key);
  };
  const onResize = () => hooks.resized();
  const leave = () => {
    stdout.write(LEAVE);
    if (stdin.isTTY) stdin.setRawMode(false);
  };
  stdout.write(ENTER);
  stdout.on("resize", onResize);
  // Whatever ends the process, the terminal is somebody's.
  process.on("exit", leave);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdin.on("data", onData);
    stdin.resume();
  }
  return {
    get columns() {
      return stdout.columns || 80;
    },
    get rows() {
      return stdout.rows || 24;
    },
    draw: (lines) =>
      void stdout.write(`${BEGIN_FRAME}${lines.map((line) => line + CLEAR_TO_END_OF_LINE).join("\r\n")}${END_FRAME}`),
    [Symbol.dispose]() {
      process.off("exit", leave);
      stdout.off("resize", onResize);
      stdin.off("data", onData);
      stdin.pause();
      leave();
    },
  };
}

const KEYS: Readonly<Record<string, Key>> = {
  q: "quit",
  Q: "quit",
  "\x03": "quit",
  "\x04": "quit",
  k: "up",
  "\x1b[A": "up",
  "\x1bOA": "up",
  j: "down",
  "\x1b[B": "down",
  "\x1bOB": "down",
  "\x1b[5~": "page-up",
  "\x1b[6~": "page-down",
  " ": "page-down",
  "\x1b[H": "home",
  "\x1b[1~": "home",
  g: "home",
  "\x1b[F": "end",
  "\x1b[4~": "end",
  G: "end",
};

/** The keys in what a terminal sent at once: a sequence that begins with ESC, or one character each. */
export function keysOf(text: string): Key[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is how such keys begin
  return [...text.matchAll(/\x1b(?:\[[\d;]*[A-Za-z~]|O[A-Z])|[\s\S]/g)].flatMap(([one]) => KEYS[one] ?? []);
}
