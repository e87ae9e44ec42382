import type { Datagram, RandomBytes, Transmit } from "../machine.ts";
import type { StunTransaction } from "../stun/transaction.ts";
import type { Instant } from "../time.ts";
import { uniform } from "../uniform.ts";

/** RFC 7675 §5.1: asked for every 5 s, give or take a fifth; gone when no answer has confirmed it for 30 s. */
const INTERVAL_MS = 5_000;
const SPREAD = 0.2;
export const CONSENT_EXPIRY_MS = 30_000;
/** Forbidden: an authentic peer that does not want to be sent to any more. */
const REVOKED = 403;

interface Asked {
  readonly at: Instant;
  readonly transaction: StunTransaction;
}

/**
 * Whether the peer still wants to be sent to (RFC 7675): a check every few seconds on the selected pair, each sent
 * once. Its packets also keep the mapping of a NAT open (RFC 8445 §11).
 */
export class Consent {
  readonly #random: RandomBytes;
  readonly #request: (now: Instant) => StunTransaction;
  readonly #transmits: Transmit[] = [];
  /** Not answered, the oldest first. An answer counts as long as consent can last; so there are eight at most. */
  #asked: Asked[] = [];
  #expiresAt: Instant;
  #nextAt: Instant;

  /** @param request makes a check of the selected pair */
  constructor(now: Instant, random: RandomBytes, request: (now: Instant) => StunTransaction) {
    this.#random = random;
    this.#request = request;
    this.#expiresAt = now + CONSENT_EXPIRY_MS;
    this.#nextAt = now + this.#interval();
  }

  /** Nothing may be sent any more. It stays so. */
  isLost(now: Instant): boolean {
    return now >= this.#expiresAt;
  }

  /** True: it was an answer to one of these checks. */
  handleDatagram(now: Instant, datagram: Datagram): boolean {
    const asked = this.#asked.find(({ transaction }) => transaction.handleDatagram(now, datagram));
    const outcome = asked?.transaction.outcome;
    if (outcome !== undefined) this.#asked = this.#asked.filter((one) => one !== asked);
    if (this.isLost(now)) return asked !== undefined;
    if (outcome?.kind === "success") this.#expiresAt = now + CONSENT_EXPIRY_MS;
    else if (outcome?.kind === "error" && outcome.code === REVOKED) this.#expiresAt = now;
    return asked !== undefined;
  }

  handleTimeout(now: Instant): void {
    if (now < this.#nextAt || this.isLost(now)) return;
    const transaction = this.#request(now);
    const request = transaction.pollTransmit();
    if (request !== undefined) this.#transmits.push(request);
    this.#asked = [...this.#asked.filter(({ at }) => at > now - CONSENT_EXPIRY_MS), { at: now, transaction }];
    this.#nextAt = now + this.#interval();
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  nextTimeout(): Instant {
    return Math.min(this.#nextAt, this.#expiresAt);
  }

  #interval(): number {
    return INTERVAL_MS * (1 - SPREAD + 2 * SPREAD * uniform(this.#random));
  }
}
