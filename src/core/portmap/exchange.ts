import type { Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";

/** UDP port on which gateways answer PCP and NAT-PMP (RFC 6887 §19.1, RFC 6886 §1). */
const GATEWAY_PORT = 5351;
/** A request to forget a mapping, whose sender may be about to end: three times within a second. */
export const HASTY_WAITS: readonly number[] = [250, 500, 1_000];

/** One request to a gateway that is repeated until it is answered or given up. */
export class Exchange {
  readonly #socket: number;
  readonly #to: Endpoint;
  #payload: Uint8Array | undefined;
  #waits: readonly number[] = [];
  #sent = 0;
  #queued = false;
  #due: Instant = NEVER;

  constructor(socket: number, gateway: string) {
    this.#socket = socket;
    this.#to = { address: gateway, port: GATEWAY_PORT };
  }

  /** Sends `payload` as often as there are `waits`, each in milliseconds. Takes the place of what is under way. */
  start(now: Instant, payload: Uint8Array, waits: readonly number[]): void {
    this.#payload = payload;
    this.#waits = waits;
    this.#sent = 0;
    this.#send(now);
  }

  /** Only what comes from where the request went can be an answer to it. */
  isFromGateway(from: Endpoint): boolean {
    return sameEndpoint(from, this.#to);
  }

  /** Why a request was given up. */
  get silence(): string {
    return `no answer from ${this.#to.address} port ${this.#to.port}`;
  }

  /** The request left more than once: an answer to one of them says nothing about the others. */
  get isRepeated(): boolean {
    return this.#sent > 1;
  }

  stop(): void {
    this.#payload = undefined;
    this.#queued = false;
    this.#due = NEVER;
  }

  /** True when the last wait is over: the request is given up. */
  handleTimeout(now: Instant): boolean {
    if (now < this.#due) return false;
    if (this.#sent < this.#waits.length) {
      this.#send(now);
      return false;
    }
    this.stop();
    return true;
  }

  pollTransmit(): Transmit | undefined {
    if (!this.#queued || this.#payload === undefined) return undefined;
    this.#queued = false;
    return { socket: this.#socket, to: this.#to, payload: this.#payload };
  }

  nextTimeout(): Instant {
    return this.#due;
  }

  #send(now: Instant): void {
    this.#queued = true;
    this.#due = now + (this.#waits[this.#sent] ?? 0);
    this.#sent += 1;
  }
}
