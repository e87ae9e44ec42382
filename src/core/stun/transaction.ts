import type { Datagram, Machine, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { StunAttributes } from "./attributes.ts";
import { verifyIntegrity } from "./integrity.ts";
import { BINDING, decodeStun, type EncodeOptions, encodeStun, type StunMessage, transactionIdOf } from "./message.ts";

/** How long a transaction goes on (RFC 8489 §6.2.1). */
export interface StunTiming {
  /** The wait after the first request. */
  readonly rtoMs: number;
  /** By how much each wait is longer than the one before; twice unless told. */
  readonly growth?: number;
  /** Rc: how many requests leave at most. */
  readonly sends: number;
  /** Rm: the wait after the last one, in first waits. */
  readonly lastWait: number;
}

/** As the RFC has it: requests at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up at 39.5 s. */
export const STUN_TIMING: StunTiming = { rtoMs: 500, sends: 7, lastWait: 16 };

export interface StunTransactionOptions {
  readonly now: Instant;
  readonly to: Endpoint;
  /** 24 hexadecimal digits nobody can guess: `random(12).toHex()`. */
  readonly transactionId: string;
  /** Which of the owner's sockets sends and hears; 0 unless told. */
  readonly socket?: number;
  /** IP time to live of the requests; the system's unless told. */
  readonly ttl?: number;
  /** Binding unless told. */
  readonly method?: number;
  readonly attributes?: StunAttributes;
  /** With an integrity, only an answer of somebody who knows the same key counts. */
  readonly encode?: EncodeOptions;
  /** Where the answer has to come from: `to` unless told; `anywhere` when CHANGE-REQUEST asks for another address. */
  readonly from?: Endpoint | "anywhere";
  readonly timing?: StunTiming;
}

/**
 * How a transaction ended. `rttMs` is there when it is sure which request was answered: the only one (Karn). A success
 * has `otherAddress` also where a server of ours has one address only: that address and the other port, by which a
 * client sees that no change of address is on offer.
 */
export type StunOutcome =
  | {
      readonly kind: "success";
      readonly message: StunMessage;
      readonly from: Endpoint;
      readonly rttMs: number | undefined;
    }
  | {
      readonly kind: "error";
      /** 300 to 699. */
      readonly code: number;
      readonly reason: string;
      readonly message: StunMessage;
      readonly from: Endpoint;
      readonly rttMs: number | undefined;
    }
  /** The server demands that something be understood which is not, or tells an error without its code (§6.3.3, §6.3.4). */
  | { readonly kind: "unusable"; readonly unknownRequired: readonly number[]; readonly from: Endpoint }
  /** `discarded` tells a path that is dead from one on which somebody meddles. */
  | { readonly kind: "timeout"; readonly sends: number; readonly discarded: Discarded };

/** Answers to this transaction that did not count. */
export interface Discarded {
  readonly wrongSource: number;
  readonly badIntegrity: number;
  /** Undecodable, or of another class or method than an answer has. */
  readonly malformed: number;
}

/**
 * One request of a STUN client over UDP, sent until it is answered or has been sent often enough (RFC 8489 §6.2.1).
 * Its only event is its outcome. An answer from the wrong address or without the integrity that was asked for is as
 * if it had never come (§9.1.4), so nobody can end a transaction with a guess.
 *
 * A machine by itself, and a part of machines that have many: these find the one an answer is for by
 * `transactionIdOf`. Left out on purpose: the RTO is not remembered between transactions, its owner does that with
 * `rttMs` and `timing`; TCP; the long-term mechanism's second request.
 */
export class StunTransaction implements Machine<StunOutcome> {
  readonly id: string;
  readonly to: Endpoint;
  readonly #options: StunTransactionOptions;
  readonly #timing: StunTiming;
  readonly #request: Transmit;
  readonly #discarded = { wrongSource: 0, badIntegrity: 0, malformed: 0 };
  readonly #startedAt: Instant;
  #sends = 0;
  #sendDue = false;
  #dueAt: Instant;
  #outcome: StunOutcome | undefined;
  #told = false;

  /** The first request is there to be polled at once. */
  constructor(options: StunTransactionOptions) {
    const { now, to, transactionId, socket = 0, ttl, method = BINDING, attributes = {}, encode } = options;
    this.id = transactionId;
    this.to = to;
    this.#options = options;
    this.#timing = options.timing ?? STUN_TIMING;
    const payload = encodeStun({ class: "request", method, transactionId, attributes }, encode);
    this.#request = ttl === undefined ? { socket, to, payload } : { socket, to, payload, ttl };
    this.#startedAt = now;
    this.#dueAt = now;
    this.handleTimeout(now);
  }

  /** Undefined while it is under way. */
  get outcome(): StunOutcome | undefined {
    return this.#outcome;
  }

  /** True: the datagram was an answer to this transaction, whether it counted or not, and concerns nobody else. */
  handleDatagram(now: Instant, { socket, from, payload }: Datagram): boolean {
    if (socket !== this.#request.socket || transactionIdOf(payload) !== this.id) return false;
    if (this.#outcome !== undefined) return true;
    const judged = this.#judge(now, from, payload);
    if (typeof judged === "string") this.#discarded[judged]++;
    else this.#end(judged);
    return true;
  }

  handleTimeout(now: Instant): void {
    if (now < this.#dueAt || this.#outcome !== undefined) return;
    if (this.#sends === this.#timing.sends) {
      this.#end({ kind: "timeout", sends: this.#sends, discarded: { ...this.#discarded } });
      return;
    }
    const { rtoMs, growth = 2, sends, lastWait } = this.#timing;
    this.#sendDue = true;
    this.#sends++;
    this.#dueAt = now + rtoMs * (this.#sends === sends ? lastWait : growth ** (this.#sends - 1));
  }

  pollTransmit(): Transmit | undefined {
    if (!this.#sendDue) return undefined;
    this.#sendDue = false;
    return this.#request;
  }

  /** The outcome, once. */
  pollEvent(): StunOutcome | undefined {
    if (this.#told) return undefined;
    this.#told = this.#outcome !== undefined;
    return this.#outcome;
  }

  nextTimeout(): Instant {
    return this.#dueAt;
  }

  /** What an answer means, or why it does not count. */
  #judge(now: Instant, from: Endpoint, payload: Uint8Array): StunOutcome | keyof Discarded {
    const { to, from: expected = to, method = BINDING, encode } = this.#options;
    if (expected !== "anywhere" && !sameEndpoint(from, expected)) return "wrongSource";
    const decoded = decodeStun(payload);
    if (!decoded.ok) return "malformed";
    const { message, unknownRequired } = decoded;
    const answers = message.class === "success" || message.class === "error";
    if (!answers || message.method !== method) return "malformed";
    const key = encode?.integrity?.key;
    if (key !== undefined && !verifyIntegrity(payload, key)) return "badIntegrity";
    const rttMs = this.#sends === 1 ? now - this.#startedAt : undefined;
    const { errorCode } = message.attributes;
    if (unknownRequired.length > 0 || (message.class === "error" && errorCode === undefined))
      return { kind: "unusable", unknownRequired, from };
    if (message.class === "error" && errorCode !== undefined)
      return { kind: "error", ...errorCode, message, from, rttMs };
    return { kind: "success", message: withOtherAddress(message, from), from, rttMs };
  }

  #end(outcome: StunOutcome): void {
    this.#outcome = outcome;
    this.#sendDue = false;
    this.#dueAt = NEVER;
  }
}

function withOtherAddress(message: StunMessage, { address }: Endpoint): StunMessage {
  const { otherAddress, otherPort: port } = message.attributes;
  if (otherAddress !== undefined || port === undefined) return message;
  return { ...message, attributes: { ...message.attributes, otherAddress: { address, port } } };
}
