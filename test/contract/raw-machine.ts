import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";

/** A text that came in at one of the machine's sockets. */
export interface Heard {
  readonly socket: number;
  readonly from: Endpoint;
  readonly text: string;
}

const QUESTION = "where am I?";
const ANSWER = "you are ";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A machine without a protocol: it sends what it is told to and tells what it heard. It answers every `ask` with the
 * asker's address as it saw it, so two of them find out what stands between them.
 */
export class RawMachine implements Machine<Heard> {
  readonly #transmits: Transmit[] = [];
  readonly #events: Heard[] = [];

  /** After sends the machine has to be poked. */
  send(socket: number, to: Endpoint, text: string, ttl?: number): void {
    this.#transmits.push({ socket, to, payload: encoder.encode(text), ...(ttl !== undefined && { ttl }) });
  }

  ask(socket: number, to: Endpoint): void {
    this.send(socket, to, QUESTION);
  }

  handleDatagram(_now: Instant, { socket, from, payload }: Datagram): void {
    const text = decoder.decode(payload);
    this.#events.push({ socket, from, text });
    if (text === QUESTION) this.send(socket, from, ANSWER + formatEndpoint(from));
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): Heard | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    return NEVER;
  }
}
