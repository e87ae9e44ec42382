import type { Instant } from "../time.ts";

/** Datagrams in the order of arrival, and since when each waits. It grows to its capacity as it is needed: an idle session costs no 4096 slots. */
export class Ring {
  count = 0;
  bytes = 0;
  readonly #capacity: number;
  #head = 0;
  #packets: (Uint8Array | undefined)[] = [];
  #at = new Float64Array(0);

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The caller has made room: `count < capacity`. */
  push(now: Instant, datagram: Uint8Array): void {
    if (this.count === this.#packets.length) this.#grow();
    let slot = this.#head + this.count;
    if (slot >= this.#packets.length) slot -= this.#packets.length;
    this.#packets[slot] = datagram;
    this.#at[slot] = now;
    this.count++;
    this.bytes += datagram.length;
  }

  peek(): Uint8Array | undefined {
    return this.#packets[this.#head];
  }

  oldestAt(): Instant {
    // Invariant: asked only when count > 0.
    return this.#at[this.#head]!;
  }

  shift(): void {
    // Invariant: asked only when count > 0, so the head slot is filled.
    this.bytes -= this.#packets[this.#head]!.length;
    this.#packets[this.#head] = undefined;
    this.#head = this.#head + 1 === this.#packets.length ? 0 : this.#head + 1;
    this.count--;
  }

  #grow(): void {
    const size = Math.min(this.#capacity, Math.max(64, this.#packets.length * 2));
    const packets: (Uint8Array | undefined)[] = new Array(size).fill(undefined);
    const at = new Float64Array(size);
    for (let i = 0; i < this.count; i++) {
      const from = (this.#head + i) % this.#packets.length;
      packets[i] = this.#packets[from];
      at[i] = this.#at[from]!;
    }
    this.#packets = packets;
    this.#at = at;
    this.#head = 0;
  }
}
