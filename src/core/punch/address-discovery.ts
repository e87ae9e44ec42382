import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type StunTiming, StunTransaction } from "../stun/transaction.ts";
import { type Instant, NEVER } from "../time.ts";

/** What the servers see of one socket. */
export interface DiscoveredAddress {
  /** As the first server that answered sees it. */
  readonly address: Endpoint;
  /** Whether all servers see the same port; undefined when fewer than two answered. */
  readonly portFixed: boolean | undefined;
  /** What each one that answered said. */
  readonly answers: readonly { readonly server: Endpoint; readonly address: Endpoint }[];
}

/** Once, when all servers have answered or have been given up; undefined when none of them answered. */
export type DiscoveryEvent = { readonly type: "discovered"; readonly discovered: DiscoveredAddress | undefined };

/** A person waits: four requests, given up after 4 s. */
const TIMING: StunTiming = { rtoMs: 200, sends: 4, lastWait: 13 };
/** No more is waited for slower servers once two have answered, which is what is needed. */
const ENOUGH = 2;
/** A mapping lives 30 s at least in what is sold today, RFC 4787 REQ-5 wants two minutes. */
const KEEP_ALIVE_MS = 15_000;

export interface AddressDiscoveryOptions {
  readonly now: Instant;
  readonly servers: readonly Endpoint[];
  readonly random: RandomBytes;
}

/**
 * The public address of one socket (number 0), and whether its NAT gives it one port for all destinations, which the
 * nat3 side of a punch needs. Several STUN servers are asked at the same time (RFC 8489). Afterwards it keeps the
 * mapping open for as long as it is driven, because users need a while to tell each other their addresses.
 */
export class AddressDiscovery implements Machine<DiscoveryEvent> {
  readonly #random: RandomBytes;
  #transactions: StunTransaction[] = [];
  readonly #answers: { server: Endpoint; address: Endpoint }[] = [];
  #event: DiscoveryEvent | undefined;
  #told = false;
  #keepAliveAt: Instant = NEVER;

  constructor({ now, servers, random }: AddressDiscoveryOptions) {
    this.#random = random;
    this.#transactions = servers.map((to) => this.#ask(now, to));
    this.#settle(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#transactions.some((transaction) => transaction.handleDatagram(now, datagram));
    this.#settle(now);
  }

  handleTimeout(now: Instant): void {
    const [first] = this.#answers;
    if (now >= this.#keepAliveAt && first !== undefined) {
      this.#transactions = [this.#ask(now, first.server)];
      this.#keepAliveAt = now + KEEP_ALIVE_MS;
    }
    for (const transaction of this.#transactions) transaction.handleTimeout(now);
    this.#settle(now);
  }

  pollTransmit(): Transmit | undefined {
    for (const transaction of this.#transactions) {
      const transmit = transaction.pollTransmit();
      if (transmit !== undefined) return transmit;
    }
    return undefined;
  }

  pollEvent(): DiscoveryEvent | undefined {
    if (this.#told || this.#event === undefined) return undefined;
    this.#told = true;
    return this.#event;
  }

  nextTimeout(): Instant {
    return Math.min(this.#keepAliveAt, ...this.#transactions.map((transaction) => transaction.nextTimeout()));
  }

  #ask(now: Instant, to: Endpoint): StunTransaction {
    return new StunTransaction({ now, to, transactionId: this.#random(12).toHex(), timing: TIMING });
  }

  #settle(now: Instant): void {
    if (this.#event !== undefined) return;
    for (const { outcome, to: server } of this.#transactions) {
      if (outcome?.kind !== "success" || this.#answers.some((answer) => sameEndpoint(answer.server, server))) continue;
      const { xorMappedAddress, mappedAddress } = outcome.message.attributes;
      const address = xorMappedAddress ?? mappedAddress;
      if (address !== undefined) this.#answers.push({ server, address });
    }
    const pending = this.#transactions.some(({ outcome }) => outcome === undefined);
    if (pending && this.#answers.length < ENOUGH) return;
    this.#transactions = [];
    this.#event = { type: "discovered", discovered: this.#discovered() };
    if (this.#answers.length > 0) this.#keepAliveAt = now + KEEP_ALIVE_MS;
  }

  #discovered(): DiscoveredAddress | undefined {
    const [first, ...others] = this.#answers;
    if (first === undefined) return undefined;
    const portFixed =
      others.length === 0 ? undefined : others.every(({ address }) => address.port === first.address.port);
    return { address: first.address, portFixed, answers: this.#answers };
  }
}
