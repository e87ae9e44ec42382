import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import { type Endpoint, formatEndpoint, parseEndpoint, sameEndpoint } from "../../src/core/net/endpoint.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { Bind, HostName, Running, World } from "./world.ts";

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
 * A machine without a protocol: it sends what it is told to and tells what it heard. It answers every question with the
 * asker's address as it saw it, so that two of them find out what stands between them.
 */
export class RawMachine implements Machine<Heard> {
  readonly #transmits: Transmit[] = [];
  readonly #events: Heard[] = [];

  send(socket: number, to: Endpoint, text: string, ttl?: number): void {
    this.#transmits.push({ socket, to, payload: encoder.encode(text), ...(ttl !== undefined && { ttl }) });
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

/** A raw machine on its host, as a check wants to use it. */
export class RawHost {
  readonly #running: Running<RawMachine>;

  constructor(running: Running<RawMachine>) {
    this.#running = running;
  }

  get heard(): readonly Heard[] {
    return this.#running.events;
  }

  send(socket: number, to: Endpoint, text: string, ttl?: number): void {
    this.#running.machine.send(socket, to, text, ttl);
    this.#running.poke();
  }

  ask(socket: number, to: Endpoint): void {
    this.send(socket, to, QUESTION);
  }

  /** As which end whoever has the address `from` saw one of the sockets; undefined without an answer. */
  seenFrom(socket: number, from: Endpoint): Endpoint | undefined {
    const answer = this.heard.findLast(
      (heard) => heard.socket === socket && sameEndpoint(heard.from, from) && heard.text.startsWith(ANSWER),
    );
    return answer && parseEndpoint(answer.text.slice(ANSWER.length));
  }

  hears(socket: number, text: string): boolean {
    return this.heard.some((heard) => heard.socket === socket && heard.text === text);
  }
}

export async function startRaw(world: World, host: HostName, binds: readonly Bind[]): Promise<RawHost> {
  return new RawHost(await world.start(host, binds, () => new RawMachine()));
}
