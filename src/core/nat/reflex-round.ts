import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type StunTiming, StunTransaction } from "../stun/transaction.ts";
import { type Instant, NEVER } from "../time.ts";

/** A server and what it is called in the config. */
export interface NamedServer {
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** What each server that answered sees of the socket; once, when all have answered or have been given up. */
export interface ReflexSeen {
  readonly type: "seen";
  readonly seen: readonly { readonly name: string; readonly mapped: Endpoint }[];
}

export interface ReflexRoundOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly servers: readonly NamedServer[];
}

/** Nobody waits for it: three requests, given up after 3.5 s. */
const TIMING: StunTiming = { rtoMs: 500, sends: 3, lastWait: 4 };

/**
 * Asks servers that are known to be alive once more what one socket (number 0) is outside: cheap enough to be done every
 * few minutes, it notices that the address moved although nothing changed on this host, and keeps the mapping open
 * meanwhile.
 */
export class ReflexRound implements Machine<ReflexSeen> {
  readonly #asked: readonly { readonly name: string; readonly transaction: StunTransaction }[];
  #isTold = false;

  constructor({ now, random, servers }: ReflexRoundOptions) {
    this.#asked = servers.map(({ name, endpoint: to }) => ({
      name,
      transaction: new StunTransaction({ now, to, transactionId: random(12).toHex(), timing: TIMING }),
    }));
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#asked.some(({ transaction }) => transaction.handleDatagram(now, datagram));
  }

  handleTimeout(now: Instant): void {
    for (const { transaction } of this.#asked) transaction.handleTimeout(now);
  }

  pollTransmit(): Transmit | undefined {
    for (const { transaction } of this.#asked) {
      const transmit = transaction.pollTransmit();
      if (transmit !== undefined) return transmit;
    }
    return undefined;
  }

  pollEvent(): ReflexSeen | undefined {
    if (this.#isTold || this.#asked.some(({ transaction }) => transaction.outcome === undefined)) return undefined;
    this.#isTold = true;
    const seen = this.#asked.flatMap(({ name, transaction: { outcome } }) => {
      if (outcome?.kind !== "success") return [];
      const { xorMappedAddress, mappedAddress } = outcome.message.attributes;
      const mapped = xorMappedAddress ?? mappedAddress;
      return mapped === undefined ? [] : [{ name, mapped }];
    });
    return { type: "seen", seen };
  }

  nextTimeout(): Instant {
    return this.#asked.reduce((soonest, { transaction }) => Math.min(soonest, transaction.nextTimeout()), NEVER);
  }
}
