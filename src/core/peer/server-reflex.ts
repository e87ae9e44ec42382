import type { Datagram, RandomBytes, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { shortTermKey } from "../stun/integrity.ts";
import { type StunTiming, StunTransaction } from "../stun/transaction.ts";
import { type Instant, NEVER } from "../time.ts";

/** Where to ask, and as whom: of `stun_credential`. */
export interface ServerStun {
  readonly endpoint: Endpoint;
  readonly username: string;
  readonly password: string;
}

/** Three requests within 1.5 s, given up after 2 s: an attempt waits for it. */
const TIMING: StunTiming = { rtoMs: 500, sends: 2, lastWait: 3 };

/**
 * Asks the server's STUN port, under the credential that belongs to our control connection, as whom it sees a shared
 * socket. With that the server knows the address to be ours: it sends nobody to any other (DESIGN "Signalling").
 */
export class ServerReflex {
  readonly #random: RandomBytes;
  #server: ServerStun | undefined;
  #transaction: StunTransaction | undefined;
  /** The socket that is being asked from, and whether that request shows what the answer before it said. */
  #asking = { socket: 0, shows: false };
  #mapped: Endpoint | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** As the server saw it last; undefined before its first answer. */
  get mapped(): Endpoint | undefined {
    return this.#mapped;
  }

  /** Nothing is being asked: `mapped` is as good as it gets. */
  get isSettled(): boolean {
    return this.#transaction === undefined;
  }

  /** Undefined: there is no control connection any more. */
  setServer(server: ServerStun | undefined): void {
    this.#server = server;
    this.#transaction = undefined;
    if (server === undefined) this.#mapped = undefined;
  }

  /** Another network: what was seen is not true any more. */
  forget(): void {
    this.#mapped = undefined;
  }

  /** Asks again from the shared socket `socket`, unless it is being asked. */
  refresh(now: Instant, socket: number): void {
    if (this.#transaction === undefined) this.#ask(now, socket, undefined);
  }

  /** @param nonce of the answer to the first request: with it the server knows that its answers reach us here */
  #ask(now: Instant, socket: number, nonce: string | undefined): void {
    if (this.#server === undefined) return;
    const { endpoint: to, username, password } = this.#server;
    this.#asking = { socket, shows: nonce !== undefined };
    this.#transaction = new StunTransaction({
      now,
      to,
      socket,
      transactionId: this.#random(12).toHex(),
      attributes: nonce === undefined ? { username } : { username, nonce },
      encode: { integrity: { key: shortTermKey(password), algorithm: "sha256" } },
      timing: TIMING,
    });
  }

  /** True: it was the server's answer. */
  handleDatagram(now: Instant, datagram: Datagram): boolean {
    if (this.#transaction?.handleDatagram(now, datagram) !== true) return false;
    this.#settle(now);
    return true;
  }

  handleTimeout(now: Instant): void {
    this.#transaction?.handleTimeout(now);
    this.#settle(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#transaction?.pollTransmit();
  }

  nextTimeout(): Instant {
    return this.#transaction?.nextTimeout() ?? NEVER;
  }

  #settle(now: Instant): void {
    const outcome = this.#transaction?.outcome;
    if (outcome === undefined) return;
    this.#transaction = undefined;
    if (outcome.kind !== "success") return;
    const { xorMappedAddress, nonce } = outcome.message.attributes;
    this.#mapped = xorMappedAddress ?? this.#mapped;
    if (nonce !== undefined && !this.#asking.shows) this.#ask(now, this.#asking.socket, nonce);
  }
}
