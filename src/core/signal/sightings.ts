import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";

/** NATs forget a silent mapping after half a minute or a few; who wants to be introduced asks STUN right before. */
export const SIGHTING_MS = 120_000;
const MAX_SIGHTINGS = 16;

/** The addresses from which the owner of one STUN credential was seen, the last 16. */
export class Sightings {
  /** In the order of the latest. */
  readonly #seenAt = new Map<string, Instant>();

  add(now: Instant, endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    this.#seenAt.delete(key);
    this.#seenAt.set(key, now);
    const [oldest] = this.#seenAt.size > MAX_SIGHTINGS ? this.#seenAt.keys() : [];
    if (oldest !== undefined) this.#seenAt.delete(oldest);
  }

  has(now: Instant, endpoint: Endpoint): boolean {
    const seenAt = this.#seenAt.get(formatEndpoint(endpoint));
    return seenAt !== undefined && now - seenAt <= SIGHTING_MS;
  }
}
