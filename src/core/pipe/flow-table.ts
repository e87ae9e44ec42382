import { type Instant, NEVER } from "../time.ts";

/** What a table keeps of a flow; whoever passes a datagram on sets `usedAt`. */
export interface IdleFlow {
  usedAt: Instant;
}

/**
 * Flows of one end of a pipe, or of several, by whatever they are found by. Bounded in number, as anybody who reaches
 * the local port can begin one: the one that rested longest makes room. A flow that rests for `idleMs` ends.
 *
 * Using a flow is one assignment, so that a datagram costs a look-up and no more; the oldest is looked for only when
 * there is no room, and when time has come.
 */
export class FlowTable<Key, Flow extends IdleFlow> {
  readonly #flows = new Map<Key, Flow>();
  readonly #maxFlows: number;
  readonly #idleMs: number;

  constructor(limits: { readonly maxFlows: number; readonly idleMs: number }) {
    this.#maxFlows = limits.maxFlows;
    this.#idleMs = limits.idleMs;
  }

  get size(): number {
    return this.#flows.size;
  }

  get(key: Key): Flow | undefined {
    return this.#flows.get(key);
  }

  /** Returns what had to make room, if anything did. There is no flow of `key`. */
  add(key: Key, flow: Flow): Flow | undefined {
    const evicted = this.#flows.size < this.#maxFlows ? undefined : this.evict();
    this.#flows.set(key, flow);
    return evicted;
  }

  /** Takes out the one that rested longest, if there is any. */
  evict(): Flow | undefined {
    const oldest = this.#oldest();
    if (oldest !== undefined) this.#flows.delete(oldest[0]);
    return oldest?.[1];
  }

  all(): Flow[] {
    return [...this.#flows.values()];
  }

  delete(key: Key): void {
    this.#flows.delete(key);
  }

  /** Ends what has rested long enough, and returns it. */
  expire(now: Instant): Flow[] {
    const ended: Flow[] = [];
    for (const [key, flow] of this.#flows) {
      if (now - flow.usedAt < this.#idleMs) continue;
      this.#flows.delete(key);
      ended.push(flow);
    }
    return ended;
  }

  /** When the next flow ends, unless it is used before. */
  nextTimeout(): Instant {
    const oldest = this.#oldest();
    return oldest === undefined ? NEVER : oldest[1].usedAt + this.#idleMs;
  }

  /** All of them, which are gone from the table. */
  clear(): Flow[] {
    const flows = this.all();
    this.#flows.clear();
    return flows;
  }

  #oldest(): [Key, Flow] | undefined {
    let oldest: [Key, Flow] | undefined;
    for (const entry of this.#flows) if (oldest === undefined || entry[1].usedAt < oldest[1].usedAt) oldest = entry;
    return oldest;
  }
}
