import { type Instant, NEVER } from "../time.ts";

/**
 * UDP payloads that a path is tried with: Ethernet over IPv4 and IPv6, PPPoE, WireGuard or other tunnels underneath,
 * and IPv6's minimum of 1,280.
 */
const SIZES = [1_472, 1_452, 1_444, 1_412, 1_372, 1_280, 1_232] as const;
export const MAX_PATH_BYTES = SIZES[0];
/** What every path takes that anybody uses (RFC 8899 §5.1.2): taken until more is proven. */
export const BASE_BYTES = 1_200;
const SEARCH_TRIES = 2;
const SEARCH_TRY_MS = 1_000;
/** A path may come to take more than it did. */
const SEARCH_AGAIN_MS = 10 * 60_000;
/** It may also come to take less, and then swallows large datagrams while small probes are answered. */
const CONFIRM_MS = 2_000;
const CONFIRM_TRY_MS = 500;
const CONFIRM_TRIES = 3;

/**
 * The largest datagram that gets through a path, found by challenges of that size which may not be fragmented (after
 * RFC 8899, datagram PLPMTUD): all sizes at once, each twice, the largest that was answered is it. While datagrams flow
 * that size is confirmed again and again; when it stops getting through the search begins anew from the base.
 */
export class PathSize {
  #bytes = BASE_BYTES;
  /** Of the search or the confirmation under way. */
  #tries = 0;
  #isSearching = true;
  #tryAt: Instant = Number.NEGATIVE_INFINITY;
  #searchAt: Instant = Number.NEGATIVE_INFINITY;
  /** Sizes by token, of what is under way. */
  readonly #asked = new Map<string, number>();
  #best = BASE_BYTES;

  /** UDP payload, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Sizes to send a challenge of now, while datagrams flow; `note` each one's token. */
  handleTimeout(now: Instant): readonly number[] {
    if (now < this.nextTimeout(true)) return [];
    if (!this.#isSearching && now >= this.#searchAt) this.#search();
    if (this.#isSearching && this.#tries === SEARCH_TRIES) {
      this.#bytes = this.#best;
      this.#searchAt = now + SEARCH_AGAIN_MS;
      this.#rest(now);
      return [];
    }
    if (!this.#isSearching && this.#tries === CONFIRM_TRIES) {
      this.#bytes = BASE_BYTES;
      this.#search();
    }
    this.#tries += 1;
    this.#tryAt = now + (this.#isSearching ? SEARCH_TRY_MS : CONFIRM_TRY_MS);
    return this.#isSearching ? SIZES : [this.#bytes];
  }

  nextTimeout(isActive: boolean): Instant {
    if (!isActive) return NEVER;
    // The base has nothing below it to fall back to.
    const isAtBase = !this.#isSearching && this.#bytes === BASE_BYTES;
    return isAtBase ? this.#searchAt : Math.min(this.#tryAt, this.#isSearching ? NEVER : this.#searchAt);
  }

  note(token: string, bytes: number): void {
    this.#asked.set(token, bytes);
  }

  /** True: the answer to one of these challenges. */
  answered(now: Instant, token: string): boolean {
    const bytes = this.#asked.get(token);
    if (bytes === undefined) return false;
    this.#asked.delete(token);
    this.#best = Math.max(this.#best, bytes);
    this.#bytes = Math.max(this.#bytes, bytes);
    if (!this.#isSearching) this.#rest(now);
    return true;
  }

  #search(): void {
    this.#isSearching = true;
    this.#tries = 0;
    this.#best = BASE_BYTES;
    this.#asked.clear();
  }

  #rest(now: Instant): void {
    this.#isSearching = false;
    this.#tries = 0;
    this.#tryAt = now + CONFIRM_MS;
    this.#asked.clear();
  }
}
