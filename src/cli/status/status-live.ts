import { errorMessage } from "../../core/error.ts";
import { HISTORY_MS, samplesOf } from "../../core/tunnel/load-history.ts";
import { type FollowedEvent, followStatus } from "../../io/http/follow-status.ts";
import { paint, type StyledLine } from "../styled.ts";
import type { Key, Screen, ScreenHooks } from "./screen.ts";
import { type ShownStatus, statusLines } from "./status-view.ts";

export interface LiveOptions {
  readonly address: string;
  readonly flag: string;
  readonly hasColour: boolean;
  readonly signal: AbortSignal;
  readonly openScreen: (hooks: ScreenHooks) => Screen;
}

const RETRY_MS = 1_000;

/**
 * Shows the node at `address` until `signal` fires or somebody quits. Throws `io.connect` when it never answered; one
 * that goes away is asked again and again, and what it said last stays to be read.
 */
export async function watchStatus(options: LiveOptions): Promise<void> {
  const quit = new AbortController();
  const signal = AbortSignal.any([options.signal, quit.signal]);
  using view = new LiveView(options, () => quit.abort());
  while (!signal.aborted) {
    try {
      for await (const event of followStatus(options.address, signal, options.flag)) view.heard(event);
      view.lost("it ended the connection");
    } catch (error) {
      if (signal.aborted) return;
      if (!view.hasHeard) throw error;
      view.lost(errorMessage(error).split("\n")[0] ?? "");
    }
    await pause(RETRY_MS, signal);
  }
}

/** What was heard, and the part of it that fits the screen. */
class LiveView implements Disposable {
  readonly #options: LiveOptions;
  readonly #quit: () => void;
  #screen: Screen | undefined;
  #shown: ShownStatus | undefined;
  #samples: NonNullable<ShownStatus["samples"]> = [];
  /** Why the node does not answer any more. */
  #problem: string | undefined;
  /** The first line shown. */
  #top = 0;

  constructor(options: LiveOptions, quit: () => void) {
    this.#options = options;
    this.#quit = quit;
  }

  get hasHeard(): boolean {
    return this.#shown !== undefined;
  }

  heard(event: FollowedEvent): void {
    this.#problem = undefined;
    if (event.type === "history") {
      this.#samples = samplesOf(event);
      return;
    }
    const all = event.sample === null ? this.#samples : [...this.#samples, event.sample];
    const since = (all.at(-1)?.at ?? 0) - HISTORY_MS;
    this.#samples = all.filter(({ at }) => at >= since);
    this.#shown = { status: event.status, samples: this.#samples };
    this.#screen ??= this.#options.openScreen({ key: (key) => this.#pressed(key), resized: () => this.#draw() });
    this.#draw();
  }

  lost(problem: string): void {
    this.#problem = problem;
    this.#draw();
  }

  [Symbol.dispose](): void {
    this.#screen?.[Symbol.dispose]();
  }

  #pressed(key: Key): void {
    if (key === "quit") this.#quit();
    else {
      this.#top = scrolled(key, this.#top, this.#screen?.rows ?? 0);
      this.#draw();
    }
  }

  #draw(): void {
    const screen = this.#screen;
    if (screen === undefined || this.#shown === undefined) return;
    const { columns, rows } = screen;
    const lines = statusLines(this.#shown, columns);
    const room = Math.max(1, rows - 1);
    this.#top = Math.max(0, Math.min(this.#top, lines.length - room));
    const part = lines.slice(this.#top, this.#top + room);
    const blank = Array<StyledLine>(room - part.length).fill([]);
    const painted = [...part, ...blank, this.#footer(lines.length - this.#top - room)].map((line) =>
      paint(line, { columns, hasColour: this.#options.hasColour }),
    );
    screen.draw(painted);
  }

  #footer(below: number): StyledLine {
    if (this.#problem !== undefined)
      return [
        { text: `No answer from ${this.#options.address}: ${this.#problem}; trying again. q quits`, tone: "bad" },
      ];
    const more = below > 0 ? `, ${below} more ${below === 1 ? "line" : "lines"} below` : "";
    return [{ text: `${this.#options.address}, live. q quits, arrows scroll${more}`, tone: "quiet" }];
  }
}

function scrolled(key: Exclude<Key, "quit">, top: number, rows: number): number {
  switch (key) {
    case "up":
      return top - 1;
    case "down":
      return top + 1;
    case "page-up":
      return top - rows;
    case "page-down":
      return top + rows;
    case "home":
      return 0;
    case "end":
      return Number.MAX_SAFE_INTEGER;
    default:
      return key satisfies never;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
