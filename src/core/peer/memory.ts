import type { PunchRole } from "../punch/probe.ts";
import type { Instant } from "../time.ts";

/** What worked with a peer, the last time that something did. */
export interface Remembered {
  readonly winner: "ice" | "hardnat";
  readonly role: PunchRole | null;
  readonly elapsedMs: number;
  readonly at: Instant;
}

interface Entry {
  worked: Remembered | undefined;
  /** In a row. */
  failures: number;
  /** Those of them in which hard-NAT had its turn. */
  punches: number;
  notBefore: Instant;
}

/** After a failure nobody tries again for so long, doubled each time (DESIGN "Choice"). */
export const FIRST_RETRY_MS = 10_000;
export const LAST_RETRY_MS = 300_000;
const MAX_PEERS = 256;

/**
 * What worked and what failed, of each peer by its CN: what failed is not tried again at once, what worked is tried
 * first. Room for 256, those used longest ago go.
 */
export class PeerMemory {
  readonly #entries = new Map<string, Entry>();

  worked(cn: string): Remembered | undefined {
    return this.#entries.get(cn)?.worked;
  }

  /** When the next attempt may begin; any time for somebody unknown. */
  nextAt(cn: string): Instant {
    return this.#entries.get(cn)?.notBefore ?? Number.NEGATIVE_INFINITY;
  }

  /** How often hard-NAT was part of it since it last worked: its second try has the roles the other way round. */
  punches(cn: string): number {
    return this.#entries.get(cn)?.punches ?? 0;
  }

  succeeded(cn: string, worked: Remembered): void {
    const entry = this.#touch(cn);
    entry.worked = worked;
    entry.failures = 0;
    entry.punches = 0;
    entry.notBefore = Number.NEGATIVE_INFINITY;
  }

  /** The direct path is gone, which was a good one: no failure of the attempt, but not to be tried at once either. */
  lost(now: Instant, cn: string): void {
    this.#touch(cn).notBefore = now + FIRST_RETRY_MS;
  }

  failed(now: Instant, cn: string, enteredHardNat: boolean): void {
    const entry = this.#touch(cn);
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** entry.failures, LAST_RETRY_MS);
    entry.failures += 1;
    if (enteredHardNat) entry.punches += 1;
    entry.notBefore = now + waitMs;
    // What worked once does not any more, or not here.
    if (entry.failures > 1) entry.worked = undefined;
  }

  /** Another network, of this peer or of our own: what failed may work now, and what worked may not. */
  forget(cn?: string): void {
    if (cn === undefined) this.#entries.clear();
    else this.#entries.delete(cn);
  }

  #touch(cn: string): Entry {
    const entry = this.#entries.get(cn) ?? {
      worked: undefined,
      failures: 0,
      punches: 0,
      notBefore: Number.NEGATIVE_INFINITY,
    };
    this.#entries.delete(cn);
    this.#entries.set(cn, entry);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > MAX_PEERS && oldest.done !== true) this.#entries.delete(oldest.value);
    return entry;
  }
}
