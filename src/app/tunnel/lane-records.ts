import type { Instant } from "../../core/time.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { LaneEnd } from "../../core/tunnel/status.ts";

type End = Pick<LaneEnd, "reason" | "isAgreed"> & { readonly at: Instant };

/** When the lanes of a session opened, and how the ones before them ended: one note for each of the 32 numbers. */
export class LaneRecords {
  readonly #openedAt = new WeakMap<Lane, Instant>();
  readonly #ends = new Map<number, End & { times: number }>();

  opened(lane: Lane, at: Instant): void {
    this.#openedAt.set(lane, at);
  }

  closed(lane: Lane, at: Instant, error: Error | undefined): void {
    const isAgreed = lane.saidGoodbye || lane.heardGoodbye;
    const reason = error?.message ?? (isAgreed ? "both ends agreed" : "the other end closed it");
    this.#ended(lane.id, { at, reason, isAgreed });
  }

  /** A dial came to nothing. */
  failed(laneId: number, at: Instant, error: Error): void {
    this.#ended(laneId, { at, reason: error.message, isAgreed: false });
  }

  /** The numbers that something ended for. */
  get ids(): Iterable<number> {
    return this.#ends.keys();
  }

  ageOf(lane: Lane, time: Instant): number {
    return time - (this.#openedAt.get(lane) ?? time);
  }

  endOf(laneId: number, time: Instant): LaneEnd | null {
    const end = this.#ends.get(laneId);
    if (end === undefined) return null;
    const { at, ...rest } = end;
    return { ...rest, agoMs: time - at };
  }

  #ended(laneId: number, end: End): void {
    this.#ends.set(laneId, { times: (this.#ends.get(laneId)?.times ?? 0) + 1, ...end });
  }
}
