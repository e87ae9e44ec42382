import type { Instant } from "../time.ts";
import { readU32, writeU32 } from "./packet.ts";
import { MAX_PATH_BYTES } from "./path-size.ts";

/** In front of each half: the datagram's number (u32) and which half it is (u8, 0 or 1). */
const PART_HEADER_BYTES = 5;
/** Halves that may wait for the other one. */
export const MAX_WAITING = 256;
/** A half that has waited longer waits for one that was lost. */
export const MAX_WAIT_MS = 1_000;

/**
 * The halves of a datagram that is larger than its path takes: two of about the same size, so that both arrive
 * together. Undefined when even halves are too large: it cannot go over this path.
 */
export function split(datagram: Uint8Array, id: number, maxPayload: number): [Uint8Array, Uint8Array] | undefined {
  const middle = Math.ceil(datagram.length / 2);
  if (middle + PART_HEADER_BYTES > maxPayload) return undefined;
  return [part(id, 0, datagram.subarray(0, middle)), part(id, 1, datagram.subarray(middle))];
}

/** Puts halves together again, each flow's own; bounded in number and age, oldest out. */
export class Reassembly {
  /** In order of arrival, so that the first is the oldest. */
  readonly #waiting = new Map<number, { readonly half: Uint8Array; readonly index: number; readonly since: Instant }>();
  /** Halves that were given up. */
  dropped = 0;

  /** The whole datagram once both halves are there. */
  take(now: Instant, flow: number, payload: Uint8Array): Uint8Array | undefined {
    const index = payload[4] ?? 2;
    // No path takes a larger one, so only somebody who wants us to keep it sends it.
    if (index > 1 || payload.length > MAX_PATH_BYTES) {
      this.dropped += 1;
      return undefined;
    }
    this.#expire(now);
    const key = flow * 2 ** 32 + readU32(payload, 0);
    const half = payload.subarray(PART_HEADER_BYTES);
    const other = this.#waiting.get(key);
    if (other === undefined || other.index === index) {
      this.#keep(now, key, index, half);
      return undefined;
    }
    this.#waiting.delete(key);
    return index === 0 ? joined(half, other.half) : joined(other.half, half);
  }

  #keep(now: Instant, key: number, index: number, half: Uint8Array): void {
    // Sealed packets come once, so a half that comes again is a number that was used again.
    if (this.#waiting.delete(key)) this.dropped += 1;
    this.#waiting.set(key, { half, index, since: now });
    if (this.#waiting.size > MAX_WAITING) this.#dropOldest();
  }

  #expire(now: Instant): void {
    for (const { since } of this.#waiting.values()) {
      if (now - since <= MAX_WAIT_MS) return;
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    const oldest = this.#waiting.keys().next();
    if (oldest.done !== true && this.#waiting.delete(oldest.value)) this.dropped += 1;
  }
}

function part(id: number, index: number, half: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PART_HEADER_BYTES + half.length);
  writeU32(bytes, 0, id);
  bytes[4] = index;
  bytes.set(half, PART_HEADER_BYTES);
  return bytes;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
