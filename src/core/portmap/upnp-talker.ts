import type { Datagram, Transmit } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import type { GatewayRequest, GatewayResult, IgnoredAnswer } from "./protocol.ts";
import { GatewaySearch } from "./upnp-search.ts";
import type { Heard, Talk } from "./upnp-talk.ts";

export interface TalkerOptions {
  readonly gateway: string;
  /** The machine's socket for searches. */
  readonly socket: number;
  /** Where to count what did not count. */
  readonly ignored: Record<IgnoredAnswer, number>;
}

/**
 * Runs one talk at a time: searches for locations when it wishes for one, hands its requests out, and brings it what
 * came of them. When the time of a talk is up, each of its wishes is answered at once with nothing, so that it comes to
 * its own end.
 */
export class Talker<Result> {
  readonly #search: GatewaySearch;
  readonly #ignored: Record<IgnoredAnswer, number>;
  #talk: Talk<Result> | undefined;
  #waits: "nothing" | "location" | "result" = "nothing";
  #hasSearched = false;
  #request: GatewayRequest | undefined;
  #requests = 0;
  #result: Result | undefined;
  #deadline: Instant = NEVER;
  /** When the request that is under way is given up, before its own time. */
  #requestDeadline: Instant = NEVER;

  constructor({ gateway, socket, ignored }: TalkerOptions) {
    this.#search = new GatewaySearch(gateway, socket, ignored);
    this.#ignored = ignored;
  }

  /** The last search's answer that led away from the gateway, if there was one. */
  get refusedLocation(): string | undefined {
    return this.#search.refused;
  }

  /** Takes the place of the talk before. */
  start(now: Instant, talk: Talk<Result>, limitMs: number): void {
    this.stop();
    this.#talk = talk;
    this.#deadline = now + limitMs;
    this.#advance(now);
  }

  /** The talk that goes on has not much time any more, and the request that it waits for has less. */
  hurry(now: Instant, requestMs: number, limitMs: number): void {
    this.#requestDeadline = now + requestMs;
    this.#deadline = Math.min(this.#deadline, now + limitMs);
  }

  stop(): void {
    this.#talk = undefined;
    this.#waits = "nothing";
    this.#hasSearched = false;
    this.#request = undefined;
    this.#result = undefined;
    this.#deadline = NEVER;
    this.#requestDeadline = NEVER;
    this.#search.stop();
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#search.handleDatagram(datagram);
    if (this.#waits === "location") this.#offerLocation(now);
  }

  handleHttp(now: Instant, id: number, result: GatewayResult): void {
    if (this.#waits === "result" && id === this.#requests) this.#advance(now, { type: "result", result });
    else this.#ignored.unasked += 1;
  }

  handleTimeout(now: Instant): void {
    const isLate = now >= this.#deadline;
    if (this.#waits === "result" && (isLate || now >= this.#requestDeadline)) this.#advance(now, TIMED_OUT);
    if (this.#waits !== "location") return;
    if (isLate) this.#advance(now, NO_LOCATION);
    else {
      this.#search.handleTimeout(now);
      this.#offerLocation(now);
    }
  }

  pollTransmit(): Transmit | undefined {
    return this.#search.pollTransmit();
  }

  /** A request to be made; its result goes to `handleHttp`. */
  pollRequest(): GatewayRequest | undefined {
    const request = this.#request;
    this.#request = undefined;
    return request;
  }

  /** What the talk came to, once. */
  pollResult(): Result | undefined {
    const result = this.#result;
    this.#result = undefined;
    return result;
  }

  nextTimeout(): Instant {
    // A search rests while one of its finds is looked at.
    const searchDue = this.#waits === "location" ? this.#search.nextTimeout() : NEVER;
    return Math.min(searchDue, this.#requestDeadline, this.#deadline);
  }

  #offerLocation(now: Instant): void {
    const url = this.#search.next();
    if (url !== undefined) this.#advance(now, { type: "location", url });
    else if (this.#search.isOver) this.#advance(now, NO_LOCATION);
  }

  /** Goes on with the talk until it waits for something that is not there yet. */
  #advance(now: Instant, first?: Heard): void {
    let heard = first;
    while (this.#talk !== undefined) {
      this.#waits = "nothing";
      this.#requestDeadline = NEVER;
      const step = heard === undefined ? this.#talk.next() : this.#talk.next(heard);
      if (step.done) {
        this.stop();
        this.#result = step.value;
        return;
      }
      heard = step.value.type === "location" ? this.#wishLocation(now) : this.#wishResult(now, step.value.request);
      if (heard === undefined) return;
    }
  }

  #wishLocation(now: Instant): Heard | undefined {
    if (now >= this.#deadline) return NO_LOCATION;
    if (!this.#hasSearched) this.#search.start(now);
    this.#hasSearched = true;
    const url = this.#search.next();
    if (url !== undefined) return { type: "location", url };
    if (this.#search.isOver) return NO_LOCATION;
    this.#waits = "location";
    return undefined;
  }

  #wishResult(now: Instant, request: Omit<GatewayRequest, "id">): Heard | undefined {
    if (now >= this.#deadline) return TIMED_OUT;
    this.#requests += 1;
    this.#request = { ...request, id: this.#requests };
    this.#waits = "result";
    return undefined;
  }
}

const NO_LOCATION: Heard = { type: "location", url: undefined };
const TIMED_OUT: Heard = { type: "result", result: { ok: false, kind: "timeout", message: "no answer in time" } };
