export interface SharesOptions {
  /** At a time. */
  readonly inAll: number;
  readonly ofOnePeer: number;
}

/** So many of something, of which no peer has more than a share: one that takes all it can leaves the others theirs. */
export class Shares {
  readonly #limits: SharesOptions;
  /** Of those that have any. */
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(limits: SharesOptions) {
    this.#limits = limits;
  }

  /** False: there is no more for `peer` now. What was taken must be brought back. */
  take(peer: string): boolean {
    const taken = this.#taken.get(peer) ?? 0;
    if (taken >= this.#limits.ofOnePeer || this.#total >= this.#limits.inAll) return false;
    this.#taken.set(peer, taken + 1);
    this.#total += 1;
    return true;
  }

  /** One that `take` gave to `peer`. */
  bringBack(peer: string): void {
    const taken = this.#taken.get(peer) ?? 0;
    if (taken > 1) this.#taken.set(peer, taken - 1);
    else this.#taken.delete(peer);
    this.#total -= 1;
  }
}
