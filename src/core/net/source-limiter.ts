import type { Instant } from "../time.ts";
import { formatIp, parseIp } from "./ip.ts";

export interface SourceLimits {
  /** Allowed of one source in any `windowMs`. */
  readonly count: number;
  readonly windowMs: number;
  /** Sources remembered; the one that was quiet longest is forgotten first. */
  readonly maxSources: number;
}

/**
 * Holds each source address to a rate, exactly: never more than `count` in any `windowMs`, whatever the spacing. An
 * IPv6 source is its /64, since whoever has one of its addresses has all.
 *
 * Source addresses can be forged, so memory is bounded, and a full table never refuses a stranger: it forgets the source
 * that was quiet longest, which then starts afresh. A flood of forged sources can thus neither grow this nor shut anybody
 * out; to get a victim forgotten it must itself send `maxSources` datagrams for every `count` that reach the victim,
 * which is no amplifier.
 */
export class SourceLimiter {
  readonly #limits: SourceLimits;
  /** In the order of last use. */
  readonly #sources = new Map<string, Log>();

  constructor(limits: SourceLimits) {
    this.#limits = limits;
  }

  /** How many sources are remembered. */
  get size(): number {
    return this.#sources.size;
  }

  /** Whether one more of `address` may pass now; if so it counts. */
  allow(now: Instant, address: string): boolean {
    const key = sourceOf(address);
    const log = this.#sources.get(key) ?? this.#fresh();
    // Also one that is refused stays remembered: it is the last one to forget.
    this.#sources.delete(key);
    this.#sources.set(key, log);
    const { count, windowMs } = this.#limits;
    if (now - (log.times[log.next] ?? Number.NEGATIVE_INFINITY) < windowMs) return false;
    log.times[log.next] = now;
    log.next = (log.next + 1) % count;
    return true;
  }

  /** An empty log: that of the source that was quiet longest when there is room for no more. */
  #fresh(): Log {
    const [oldest] = this.#sources.size < this.#limits.maxSources ? [] : this.#sources;
    if (oldest === undefined)
      return { times: new Float64Array(this.#limits.count).fill(Number.NEGATIVE_INFINITY), next: 0 };
    const [key, log] = oldest;
    this.#sources.delete(key);
    log.times.fill(Number.NEGATIVE_INFINITY);
    return log;
  }
}

/** When the last `count` were allowed, as a ring: `next` is the oldest of them. */
interface Log {
  readonly times: Float64Array;
  next: number;
}

function sourceOf(address: string): string {
  const bytes = parseIp(address);
  if (bytes === undefined || bytes.length === 4) return address;
  return formatIp(bytes.slice().fill(0, 8));
}
