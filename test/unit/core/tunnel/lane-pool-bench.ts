import { LanePool } from "../../../../src/core/tunnel/lane-pool.ts";

export const IDLE_MS = 120_000;

/** A pool, and its commands as text: `dial 0`, `close-idle`. `jitter` answers every question for randomness. */
export class PoolBench {
  readonly pool: LanePool;
  jitter = 0.5;
  readonly #lanes: number;

  constructor(lanes = 3, random?: () => number) {
    this.#lanes = lanes;
    this.pool = new LanePool({ lanes, idleMs: IDLE_MS, random: random ?? (() => this.jitter) });
  }

  get commands(): string[] {
    const commands: string[] = [];
    for (let next = this.pool.pollCommand(); next !== undefined; next = this.pool.pollCommand())
      commands.push(next.type === "dial" ? `dial ${next.lane}` : next.type);
    return commands;
  }

  get states(): string {
    return Array.from({ length: this.#lanes }, (_, lane) => this.pool.state(lane)).join(" ");
  }

  /** All lanes dialled, open and answered by the server. */
  up(now: number): this {
    this.pool.demand(now);
    for (let lane = 0; lane < this.#lanes; lane++) {
      this.pool.opened(now, lane);
      this.pool.proven(now, lane);
    }
    void this.commands;
    return this;
  }

  /** Let its timer fire whenever it asks for it until `until`, failing every dial at once; returns when it dialled. */
  failing(until: number): number[] {
    const dials: number[] = [];
    for (let at = this.pool.nextTimeout(); at <= until; at = this.pool.nextTimeout()) {
      this.pool.handleTimeout(at);
      for (const command of this.commands) {
        dials.push(at);
        this.pool.failed(at, Number(command.slice("dial ".length)));
      }
    }
    return dials;
  }
}
