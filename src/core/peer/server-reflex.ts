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
    if (this.#server === undefined || this.#transaction !== undefined) return;
    const { endpoint: to, username, password } = this.#server;
    this.#transaction = new StunTransaction({
      now,
      to,
      socket,
      transactionId: this.#random(12).toHex(),
      attributes: { username },
      encode: { integrity: { key: shortTermKey(password), algorithm: "sha256" } },
      timing: TIMING,
    });
  }

  /** True: it was the server's answer. */
  handleDatagram(now: Instant, datagram: Datagram): boolean {
    if (this.#transaction?.handleDatagram(now, datagram) !== true) return false;
    this.#settle();
    return true;
  }

  handleTimeout(now: Instant): void {
    this.#transaction?.handleTimeout(now);
    this.#settle();
  }

  pollTransmit(): Transmit | undefined {
    return this.#transaction?.pollTransmit();
  }

  nextTimeout(): Instant {
    return this.#transaction?.nextTimeout() ?? NEVER;
  }

  #settle(): void {
    const outcome = this.#transaction?.outcome;
    if (outcome === undefined) return;
    this.#transaction = undefined;
    if (outcome.kind === "success") this.#mapped = outcome.message.attributes.xorMappedAddress ?? this.#mapped;
  }
}
