import type { SignalClientEvent } from "../signal/client-event.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PipeId } from "./peer-event.ts";
import type { PipeOpening } from "./pipe-opening.ts";
import type { PipeExplanation } from "./trace.ts";

/** The pipes that this process wants, open or not. */
export class PipeOpenings {
  readonly #openings = new Map<PipeId, PipeOpening>();

  get(id: PipeId): PipeOpening | undefined {
    return this.#openings.get(id);
  }

  add(opening: PipeOpening): void {
    this.#openings.set(opening.id, opening);
  }

  /** True: there was such a one. */
  end(now: Instant, id: PipeId, reason: string): boolean {
    this.#openings.get(id)?.end(now, reason);
    return this.#openings.delete(id);
  }

  /** The one whose request was answered so, well or badly. */
  opened(now: Instant, event: Extract<SignalClientEvent, { type: "opened" }>): PipeOpening | undefined {
    return this.#openings.values().find((opening) => opening.opened(now, event));
  }

  failed(now: Instant, { requestId, reason, by }: Extract<SignalClientEvent, { type: "failed" }>): void {
    for (const opening of this.#openings.values()) if (opening.failed(now, requestId, reason, by)) return;
  }

  handleTimeout(now: Instant): void {
    for (const opening of this.#openings.values()) opening.handleTimeout(now);
  }

  nextTimeout(): Instant {
    let next = NEVER;
    for (const opening of this.#openings.values()) next = Math.min(next, opening.nextTimeout());
    return next;
  }

  explain(now: Instant): PipeExplanation[] {
    return [...this.#openings.values()].map((opening) => opening.explain(now));
  }
}
