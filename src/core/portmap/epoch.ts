import type { Instant } from "../time.ts";

/** One sighting of a gateway's clock: the seconds since it last lost its state, and when we saw them. */
export interface EpochSighting {
  readonly at: Instant;
  readonly seconds: number;
}

/** Whether `next` cannot come from the state that `last` came from. */
export type EpochRule = (last: EpochSighting, next: EpochSighting) => boolean;

/** Tells from the epoch in each of a gateway's answers whether it lost its state, and our mappings with it. */
export class EpochWatch {
  readonly #rule: EpochRule;
  #last: EpochSighting | undefined;

  constructor(rule: EpochRule) {
    this.#rule = rule;
  }

  /** True when the gateway lost its state between the last answer and this one. */
  observe(now: Instant, seconds: number): boolean {
    const next = { at: now, seconds };
    const lost = this.#last !== undefined && this.#rule(this.#last, next);
    this.#last = next;
    return lost;
  }
}

/**
 * RFC 6887 §8.5: the gateway's clock may not go back by more than a second, nor run by more than 1/16 and two seconds
 * faster or slower than ours.
 */
export const pcpEpochRule: EpochRule = (last, next) => {
  const client = secondsBetween(last, next);
  const server = next.seconds - last.seconds;
  if (server < -1) return true;
  return client + 2 < server - server / 16 || server + 2 < client - client / 16;
};

/** RFC 6886 §3.6: it may run slow by an eighth and two seconds, and as fast as it likes. */
export const natPmpEpochRule: EpochRule = (last, next) =>
  next.seconds < last.seconds + (secondsBetween(last, next) * 7) / 8 - 2;

function secondsBetween(last: EpochSighting, next: EpochSighting): number {
  return (next.at - last.at) / 1_000;
}
