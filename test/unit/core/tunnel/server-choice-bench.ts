import { ServerChoice } from "../../../../src/core/tunnel/server-choice.ts";

export const IDLE_MS = 120_000;

/** A choice, and its commands as text: `try 1`, `move 0 1 failed`, `leave 0`. `jitter` answers every question for randomness. */
export class ChoiceBench {
  readonly choice: ServerChoice;
  jitter = 0.999_999;

  constructor(servers = 2) {
    this.choice = new ServerChoice({ servers, idleMs: IDLE_MS, random: () => this.jitter });
  }

  get commands(): string[] {
    const commands: string[] = [];
    for (let next = this.choice.pollCommand(); next !== undefined; next = this.choice.pollCommand())
      commands.push(
        next.type === "move" ? `move ${next.from} ${next.to} ${next.reason}` : `${next.type} ${next.server}`,
      );
    return commands;
  }

  /** The next thing that its timer does, and when, in whole milliseconds. */
  get next(): [at: number, ...commands: string[]] {
    const at = this.choice.nextTimeout();
    if (Number.isFinite(at)) this.choice.handleTimeout(at);
    return [Math.round(at), ...this.commands];
  }

  /** The first server is in use and works. */
  up(now: number): this {
    this.choice.wanted(now);
    this.answers(now, 0);
    void this.commands;
    return this;
  }

  /** A connection that is up and used at once. */
  answers(now: number, server: number): void {
    this.choice.opened(now, server);
    this.choice.answered(now, server);
  }
}
