import type { Instant } from "../core/time.ts";
import type { Lane } from "../core/tunnel/lane.ts";
import type { LaneEnd } from "../core/tunnel/status.ts";

/** When the lanes of a session opened, and how the ones before them ended: one note for each of the 32 numbers. */
export class LaneRecords {
  readonly #openedAt = new WeakMap<Lane, Instant>();
  readonly #ends = new Map<number, { times: number; at: Instant; reason: string }>();

  opened(lane: Lane, at: Instant): void {
    this.#openedAt.set(lane, at);
  }

  closed(lane: Lane, at: Instant, error: Error | undefined): void {
    const isAgreed = lane.saidGoodbye || lane.heardGoodbye;
    this.#ended(lane.id, at, error?.message ?? (isAgreed ? "both ends agreed" : "the other end closed it"));
  }

  /** A dial came to nothing. */
  failed(laneId: number, at: Instant, error: Error): void {
    this.#ended(laneId, at, error.message);
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
    return end === undefined ? null : { times: end.times, agoMs: time - end.at, reason: end.reason };
  }

  #ended(laneId: number, at: Instant, reason: string): void {
    this.#ends.set(laneId, { times: (this.#ends.get(laneId)?.times ?? 0) + 1, at, reason });
  }
}
