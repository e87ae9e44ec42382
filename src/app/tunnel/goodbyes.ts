import type { Instant } from "../../core/time.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { Session } from "../../core/tunnel/session.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";

/** A GOODBYE that is not answered within this ends the lane all the same. */
const GOODBYE_MS = 5_000;

export interface GoodbyeParts {
  readonly session: Session;
  readonly transports: ReadonlyMap<Lane, LaneTransport>;
  /** Write what the lane's outbox holds. */
  readonly flush: (lane: Lane) => void;
}

/** The orderly end of lanes: GOODBYE is said behind what waits, and answered behind what came in before it was heard. */
export class Goodbyes implements Disposable {
  readonly #parts: GoodbyeParts;
  /** When each lane heard one that it has not answered yet. */
  readonly #unanswered = new Map<Lane, Instant>();
  #timer: Timer | undefined;

  constructor(parts: GoodbyeParts) {
    this.#parts = parts;
  }

  /** On every lane. They end when the peer has answered, or has not for too long. */
  sayAll(reason: string): void {
    const { session, transports } = this.#parts;
    for (const lane of [...session.lanes]) this.#say(lane, reason);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const [lane, transport] of [...transports]) if (lane.saidGoodbye) transport.end();
    }, GOODBYE_MS);
  }

  /** The peer sends nothing more on `lane`. */
  heard(lane: Lane): void {
    lane.heardGoodbye = true;
    if (!lane.saidGoodbye) this.#unanswered.set(lane, now());
  }

  /** Each as soon as nothing waits any more of what had come in before it was heard. */
  answer(): void {
    if (this.#unanswered.size === 0) return;
    const time = now();
    const oldestMs = this.#parts.session.oldestMs(time);
    for (const [lane, heardAt] of this.#unanswered) {
      if (oldestMs > time - heardAt) continue;
      this.#unanswered.delete(lane);
      this.#say(lane, "answer");
    }
  }

  /** The lane is gone. */
  forget(lane: Lane): void {
    this.#unanswered.delete(lane);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #say(lane: Lane, reason: string): void {
    lane.sayGoodbye(reason);
    this.#parts.flush(lane);
  }
}
