import type { Datagram, RandomBytes, Transmit } from "../machine.ts";
import type { StunTransaction } from "../stun/transaction.ts";
import type { Instant } from "../time.ts";

/** RFC 7675 §5.1: asked for every 5 s, give or take a fifth; gone when nothing has confirmed it for 30 s. */
const INTERVAL_MS = 5_000;
const SPREAD = 0.2;
export const CONSENT_EXPIRY_MS = 30_000;
/** Requests of one interval and the next overlap by that much at most. */
const MAX_PENDING = Math.ceil(CONSENT_EXPIRY_MS / (INTERVAL_MS * (1 - SPREAD)));

/**
 * Whether the peer still wants to be sent to (RFC 7675): a check every few seconds on the selected pair, each sent
 * once. Its packets also keep the mapping of a NAT open.
 */
export class Consent {
  readonly #random: RandomBytes;
  readonly #request: (now: Instant) => StunTransaction;
  readonly #transmits: Transmit[] = [];
  /** The newest last. */
  #pending: StunTransaction[] = [];
  #confirmedAt: Instant;
  #nextAt: Instant;
  #lost = false;

  /** @param request makes a check of the selected pair */
  constructor(now: Instant, random: RandomBytes, request: (now: Instant) => StunTransaction) {
    this.#random = random;
    this.#request = request;
    this.#confirmedAt = now;
    this.#nextAt = now + this.#interval();
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** True: it was an answer to one of these checks. */
  handleDatagram(now: Instant, datagram: Datagram): boolean {
    const asked = this.#pending.find((transaction) => transaction.handleDatagram(now, datagram));
    if (asked === undefined) return false;
    if (asked.outcome?.kind === "success") this.#confirmedAt = now;
    if (asked.outcome !== undefined) this.#pending = this.#pending.filter((one) => one !== asked);
    return true;
  }

  handleTimeout(now: Instant): void {
    if (now >= this.#expiresAt) this.#lost = true;
    if (this.#lost || now < this.#nextAt) return;
    const transaction = this.#request(now);
    const first = transaction.pollTransmit();
    if (first !== undefined) this.#transmits.push(first);
    this.#pending = [...this.#pending.slice(1 - MAX_PENDING), transaction];
    this.#nextAt = now + this.#interval();
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  nextTimeout(): Instant {
    return Math.min(this.#nextAt, this.#expiresAt);
  }

  get #expiresAt(): Instant {
    return this.#confirmedAt + CONSENT_EXPIRY_MS;
  }

  #interval(): number {
    const [byte = 0] = this.#random(1);
    return INTERVAL_MS * (1 - SPREAD + (2 * SPREAD * byte) / 255);
  }
}
