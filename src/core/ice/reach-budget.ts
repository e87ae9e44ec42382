import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";

/** Checks towards an address that has not answered (DESIGN "Signalling"): nobody can use a peer as a reflector. */
export const MAX_UNANSWERED_CHECKS = 7;
/** Answers to it: a peer's own checks of a pair and its nomination, each doubled by the network. */
export const MAX_UNANSWERED_ANSWERS = 4 * MAX_UNANSWERED_CHECKS;
/** Addresses of either kind: told candidates and as many that only sent. A peer can send from any port. */
const MAX_ADDRESSES = 64;

/**
 * What may still be sent to each address. The source of a request can be forged, even by a peer that has the
 * credentials; that an address answers a check of ours is the only proof that somebody there wants it.
 */
export class ReachBudget {
  readonly #checks = new Map<string, number>();
  readonly #answers = new Map<string, number>();
  readonly #proven = new Set<string>();

  /** True, and it is spent: one more check may go there. */
  spendCheck(to: Endpoint): boolean {
    return this.#spend(this.#checks, to, MAX_UNANSWERED_CHECKS);
  }

  /** True, and it is spent: one more answer may go there. */
  spendAnswer(to: Endpoint): boolean {
    return this.#spend(this.#answers, to, MAX_UNANSWERED_ANSWERS);
  }

  /** It has answered one of our checks. Only addresses that were checked can: they are bounded with the checks. */
  prove(address: Endpoint): void {
    this.#proven.add(formatEndpoint(address));
  }

  #spend(spent: Map<string, number>, to: Endpoint, limit: number): boolean {
    const key = formatEndpoint(to);
    if (this.#proven.has(key)) return true;
    const count = spent.get(key);
    if (count === undefined ? spent.size >= MAX_ADDRESSES : count >= limit) return false;
    spent.set(key, (count ?? 0) + 1);
    return true;
  }
}
