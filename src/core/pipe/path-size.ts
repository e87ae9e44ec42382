import type { Instant } from "../time.ts";

/**
 * UDP payloads that a path is tried with: Ethernet over IPv4 and IPv6, PPPoE, WireGuard or other tunnels underneath,
 * and IPv6's minimum of 1,280.
 */
const SIZES = [1_472, 1_452, 1_444, 1_412, 1_372, 1_280, 1_232] as const;
/** What every path takes that anybody uses (RFC 8899 §5.1.2): taken until more is proven. */
export const BASE_BYTES = 1_200;
/** A path may become another one underneath. */
const AGAIN_MS = 10 * 60_000;
const TRIES = 2;
const TRY_MS = 1_000;

/**
 * The largest datagram that gets through a path, found by challenges of that size which may not be fragmented (after
 * RFC 8899, datagram PLPMTUD): all sizes at once, each twice, the largest that was answered is it.
 */
export class PathSize {
  #bytes = BASE_BYTES;
  #tries = 0;
  #tryAt: Instant = Number.NEGATIVE_INFINITY;
  /** Tokens of this round. */
  readonly #asked = new Map<string, number>();
  #best = BASE_BYTES;

  /** UDP payload, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Sizes to send a challenge of now; `note` each one's token. */
  handleTimeout(now: Instant): readonly number[] {
    if (now < this.#tryAt) return [];
    if (this.#tries === TRIES) {
      // What had been proven and is not answered any more does not fit any more.
      this.#bytes = this.#best;
      this.#tries = 0;
      this.#best = BASE_BYTES;
      this.#asked.clear();
      this.#tryAt = now + AGAIN_MS;
      return [];
    }
    this.#tries += 1;
    this.#tryAt = now + TRY_MS;
    return SIZES;
  }

  nextTimeout(): Instant {
    return this.#tryAt;
  }

  note(token: string, bytes: number): void {
    this.#asked.set(token, bytes);
  }

  /** True: the answer to one of these challenges. */
  answered(token: string): boolean {
    const bytes = this.#asked.get(token);
    if (bytes === undefined) return false;
    this.#asked.delete(token);
    this.#best = Math.max(this.#best, bytes);
    this.#bytes = Math.max(this.#bytes, bytes);
    return true;
  }
}
