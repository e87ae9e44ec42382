import { sameEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import { type Instant, NEVER } from "../time.ts";

/** What ICE or hard-NAT has come to, before the pipe has proven it. */
export interface Found {
  readonly winner: "ice" | "hardnat";
  readonly address: DirectAddress;
}

/** As long as a pipe goes on with its challenges. */
export const PROOF_MS = 5_000;

/**
 * Addresses that wait for their sealed challenge, the first found first. Only the initiator has them challenged, one
 * after the other; the responder waits for its challenge, for as long as two of them take. So both ends settle on one.
 */
export class Proof {
  readonly #challenge: ((now: Instant, address: DirectAddress) => void) | undefined;
  readonly #all: Found[] = [];
  readonly #waiting: Found[] = [];
  #until: Instant = NEVER;

  /** @param challenge undefined at the responder */
  constructor(challenge: ((now: Instant, address: DirectAddress) => void) | undefined) {
    this.#challenge = challenge;
  }

  /** Something may yet come of what was found. */
  get isOpen(): boolean {
    return this.#until !== NEVER;
  }

  /** Something was found at all. */
  get hasAny(): boolean {
    return this.#all.length > 0;
  }

  add(now: Instant, found: Found): void {
    this.#all.push(found);
    if (this.#challenge === undefined) this.#until = now + 2 * PROOF_MS;
    else {
      this.#waiting.push(found);
      if (!this.isOpen) this.#next(now);
    }
  }

  whoFound({ socket, remote }: DirectAddress): Found["winner"] | undefined {
    return this.#all.find(({ address }) => address.socket === socket && sameEndpoint(address.remote, remote))?.winner;
  }

  handleTimeout(now: Instant): void {
    if (now >= this.#until) this.#next(now);
  }

  nextTimeout(): Instant {
    return this.#until;
  }

  end(): void {
    this.#waiting.length = 0;
    this.#until = NEVER;
  }

  #next(now: Instant): void {
    const next = this.#waiting.shift();
    this.#until = next === undefined ? NEVER : now + PROOF_MS;
    if (next !== undefined) this.#challenge?.(now, next.address);
  }
}
