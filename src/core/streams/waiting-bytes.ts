/** Smaller pieces are put together. */
const SMALL_BYTES = 1_024;
const JOINED_BYTES = 4_096;

/**
 * Bytes that wait for their reader, each at the cost of a byte or two. What comes in whole is kept as it is; a small
 * piece, or one that would keep much else alive, is copied behind others like it: a peer that sends a byte at a time
 * would otherwise make each of them cost hundreds.
 */
export class WaitingBytes {
  /** The first one is taken up to `#at`. */
  readonly #chunks: Uint8Array[] = [];
  #at = 0;
  /** The last chunk is the beginning of this, where small pieces were put together. */
  #joined: Uint8Array | undefined;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  push(bytes: Uint8Array): void {
    const isWhole = bytes.length >= SMALL_BYTES && 2 * bytes.length >= bytes.buffer.byteLength;
    if (isWhole) {
      this.#chunks.push(bytes);
      this.#joined = undefined;
    } else for (let at = 0; at < bytes.length; ) at += this.#join(bytes.subarray(at));
  }

  /** Shows what waits to `take`, which returns how many bytes it took, until there is no more or it takes no more. */
  read(take: (chunk: Uint8Array) => number): void {
    for (;;) {
      const [first] = this.#chunks;
      if (first === undefined) return;
      const shown = this.#at === 0 ? first : first.subarray(this.#at);
      const taken = take(shown);
      if (taken < shown.length) {
        this.#at += taken;
        return;
      }
      this.#chunks.shift();
      this.#at = 0;
      // It is its reader's now.
      if (this.#chunks.length === 0) this.#joined = undefined;
    }
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#at = 0;
    this.#joined = undefined;
  }

  /** Returns how much of `bytes` found room. */
  #join(bytes: Uint8Array): number {
    const filled = this.#joined === undefined ? 0 : (this.#chunks.at(-1)?.length ?? 0);
    if (this.#joined === undefined || filled === this.#joined.length) {
      // The first of them is mostly read at once, and then alone.
      this.#joined = new Uint8Array(this.#chunks.length === 0 ? Math.min(bytes.length, JOINED_BYTES) : JOINED_BYTES);
      this.#chunks.push(this.#joined.subarray(0, 0));
    }
    const joined = this.#joined;
    const from = this.#chunks.at(-1)?.length ?? 0;
    const taken = Math.min(bytes.length, joined.length - from);
    joined.set(bytes.subarray(0, taken), from);
    this.#chunks[this.#chunks.length - 1] = joined.subarray(0, from + taken);
    return taken;
  }
}
