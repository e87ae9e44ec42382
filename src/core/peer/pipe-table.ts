import { type Instant, NEVER } from "../time.ts";
import { type PathCounts, PathTotals } from "./path-totals.ts";
import type { PeerPipe } from "./peer-pipe.ts";
import type { PeerShared } from "./peer-shared.ts";

/**
 * Every pipe of a process that has a channel, or had one. An error of this program inside of one of them ends that one
 * and is told of; the others, and the process, go on.
 */
export class PipeTable {
  readonly #shared: PeerShared;
  readonly #pipes = new Map<number, PeerPipe>();

  constructor(shared: PeerShared) {
    this.#shared = shared;
  }

  get size(): number {
    return this.#pipes.size;
  }

  get(channel: number): PeerPipe | undefined {
    return this.#pipes.get(channel);
  }

  add(pipe: PeerPipe): void {
    this.#pipes.set(pipe.channel, pipe);
  }

  /** One that has ended; it is no longer in the table. */
  takeEnded(): PeerPipe | undefined {
    for (const [channel, pipe] of this.#pipes) {
      if (pipe.closedWith === undefined) continue;
      this.#pipes.delete(channel);
      return pipe;
    }
    return undefined;
  }

  /** Of the one pipe. Undefined is also what an error comes to. */
  within<Result>(now: Instant, pipe: PeerPipe, what: (pipe: PeerPipe) => Result): Result | undefined {
    try {
      return what(pipe);
    } catch (error) {
      this.fail(now, pipe, error);
      return undefined;
    }
  }

  /** This came of the pipe. What is broken may break again as it is closed; it counts as closed all the same. */
  fail(now: Instant, pipe: PeerPipe, error: unknown): void {
    const { events } = this.#shared.out;
    events.push({ type: "fault", pipe: pipe.id, error });
    try {
      pipe.close(now, "fault");
    } catch (another) {
      events.push({ type: "fault", pipe: pipe.id, error: another });
    }
  }

  each(now: Instant, what: (pipe: PeerPipe) => void): void {
    for (const pipe of [...this.#pipes.values()]) this.within(now, pipe, what);
  }

  /** Until one of them says that it was for it. */
  some(now: Instant, what: (pipe: PeerPipe) => boolean): boolean {
    return [...this.#pipes.values()].some((pipe) => this.within(now, pipe, what) === true);
  }

  nextTimeout(now: Instant): Instant {
    let next = NEVER;
    for (const pipe of this.#pipes.values()) next = Math.min(next, pipe.nextTimeout(now));
    return next;
  }

  /** What they have carried, and those before them. */
  totals(): PathCounts {
    const totals = new PathTotals();
    totals.add(this.#shared.totals);
    for (const { closedWith, counts } of this.#pipes.values()) if (closedWith === undefined) totals.add(counts);
    return totals;
  }
}
