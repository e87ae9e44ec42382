import type { Datagram, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { ProtocolFailure } from "./mapper-event.ts";
import type { GatewayRequest, GatewayResult, PortMapClient, PortMapFailed, PortMapProtocol } from "./protocol.ts";

/** A mapping that a gateway gave, counted from when it was asked for: never longer than the gateway counts. */
export interface Grant {
  readonly external: Endpoint;
  readonly leaseSeconds: number;
  readonly askedAt: Instant;
}

export type ContenderOutcome =
  | { readonly type: "mapped"; readonly grant: Grant }
  | { readonly type: "failed"; readonly failure: ProtocolFailure }
  | { readonly type: "lost" }
  | { readonly type: "request"; readonly request: GatewayRequest };

/** Shorter leases than two renewals take (RFC 6887 §11.2.1: 4 s apart) cannot be held. */
const MIN_LEASE_SECONDS = 8;
/**
 * How long one attempt may take: two requests of PCP, five of NAT-PMP, on a network where the answer takes milliseconds;
 * UPnP with its search and half a dozen requests at a gateway that takes its time.
 */
const ATTEMPT_MS: Readonly<Record<PortMapProtocol, number>> = { pcp: 6_000, "nat-pmp": 6_000, upnp: 10_000 };
/** How long a mapping that is not wanted is asked away before it is left to its lease. */
const UNDO_MS = 5_000;

/** One protocol in the mapper's race: its client, what it is doing, and until when. */
export class Contender {
  readonly #client: PortMapClient;
  #doing: "nothing" | "asking" | "undoing" = "nothing";
  #askedAt: Instant = 0;
  #deadline: Instant = NEVER;
  #ignoredBefore = 0;
  #startAt: Instant = NEVER;
  #notBefore: Instant = 0;
  #failure: ProtocolFailure | undefined;
  #grant: Grant | undefined;

  constructor(client: PortMapClient) {
    this.#client = client;
  }

  get protocol(): PortMapProtocol {
    return this.#client.protocol;
  }

  /** When it is to be asked first; `NEVER` when it was, or is not in a race. */
  get startAt(): Instant {
    return this.#startAt;
  }

  /** The gateway asked to be left alone until then. */
  get notBefore(): Instant {
    return this.#notBefore;
  }

  /** Why it has no mapping; undefined when it has one or was not asked. */
  get failure(): ProtocolFailure | undefined {
    return this.#failure;
  }

  /** What the gateway gave and has not lost. */
  get grant(): Grant | undefined {
    return this.#grant;
  }

  get asking(): boolean {
    return this.#doing === "asking";
  }

  get undoing(): boolean {
    return this.#doing === "undoing";
  }

  get mayHold(): boolean {
    return this.#client.mayHold;
  }

  /** Into a race, to be asked at `startAt`. */
  enter(startAt: Instant): void {
    this.#startAt = startAt;
    this.#grant = undefined;
    this.#failure = undefined;
  }

  /** The attempt ends at `endsAt` at the latest. */
  map(now: Instant, endsAt: Instant = NEVER): void {
    this.#startAt = NEVER;
    this.#doing = "asking";
    this.#askedAt = now;
    this.#deadline = Math.min(now + ATTEMPT_MS[this.protocol], endsAt);
    this.#ignoredBefore = this.#ignored();
    this.#client.map(now);
  }

  /** Asks the gateway to forget what it may hold; nothing of it is told. */
  undo(now: Instant): void {
    this.#startAt = NEVER;
    this.#grant = undefined;
    this.#rest();
    if (!this.#client.mayHold) {
      this.#client.abandon();
      return;
    }
    this.#doing = "undoing";
    this.#deadline = now + UNDO_MS;
    this.#client.unmap(now);
  }

  /** Out of the race: what it has not asked for it does not ask for any more, what is on its way will be undone. */
  leave(): void {
    this.#startAt = NEVER;
    if (this.#client.mayHold) return;
    this.#rest();
    this.#client.abandon();
  }

  /** What it got is worth nothing: it is asked away. */
  disqualify(now: Instant): ProtocolFailure {
    this.undo(now);
    this.#failure = { protocol: this.protocol, kind: "not-reached", message: "gave a port at which nothing arrives" };
    return this.#failure;
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#client.handleDatagram(now, datagram);
  }

  handleHttp(now: Instant, id: number, result: GatewayResult): void {
    this.#client.handleHttp(now, id, result);
  }

  /** A failure when its time was over. */
  handleTimeout(now: Instant): ContenderOutcome | undefined {
    if (now >= this.#client.nextTimeout()) this.#client.handleTimeout(now);
    if (now < this.#deadline) return undefined;
    const wasAsking = this.asking;
    this.#rest();
    this.#client.abandon();
    if (!wasAsking) return undefined;
    const seconds = Math.round((now - this.#askedAt) / 1_000);
    return this.#fail({ type: "failed", kind: "no-answer", message: `no answer within ${seconds} s` }, now);
  }

  nextTimeout(): Instant {
    return Math.min(this.#startAt, this.#deadline, this.#client.nextTimeout());
  }

  pollTransmit(): Transmit | undefined {
    return this.#client.pollTransmit();
  }

  pollOutcome(now: Instant): ContenderOutcome | undefined {
    for (let event = this.#client.pollEvent(); event !== undefined; event = this.#client.pollEvent()) {
      switch (event.type) {
        case "request":
          return event;
        case "mapped":
          if (this.asking) return this.#take(event, now);
          break;
        case "failed":
          if (this.asking) return this.#fail(event, now);
          this.#rest();
          break;
        case "unmapped":
          this.#rest();
          break;
        case "lost":
          this.#grant = undefined;
          return event;
        default:
          event satisfies never;
      }
    }
    return undefined;
  }

  #take({ external, leaseSeconds }: { external: Endpoint; leaseSeconds: number }, now: Instant): ContenderOutcome {
    if (leaseSeconds < MIN_LEASE_SECONDS)
      return this.#fail({ type: "failed", kind: "bad-answer", message: `gave it for ${leaseSeconds} s only` }, now);
    this.#rest();
    this.#failure = undefined;
    this.#grant = { external, leaseSeconds, askedAt: this.#askedAt };
    return { type: "mapped", grant: this.#grant };
  }

  #fail({ kind, message, retryAfterSeconds = 0 }: PortMapFailed, now: Instant): ContenderOutcome {
    this.#rest();
    const ignored = this.#ignored() - this.#ignoredBefore;
    // Who looks for the reason should know that something did answer.
    const strange =
      ignored === 0 ? "" : `; ignored ${ignored} ${ignored === 1 ? "answer" : "answers"} that did not fit`;
    this.#failure = { protocol: this.protocol, kind, message: `${message}${strange}` };
    this.#notBefore = now + retryAfterSeconds * 1_000;
    return { type: "failed", failure: this.#failure };
  }

  #ignored(): number {
    const { foreign, malformed, unasked } = this.#client.ignored;
    return foreign + malformed + unasked;
  }

  #rest(): void {
    this.#doing = "nothing";
    this.#deadline = NEVER;
  }
}
