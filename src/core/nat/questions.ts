import type { Datagram, RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { BINDING, decodeStun, encodeStun, type StunMessage } from "../stun/message.ts";
import { type Instant, NEVER } from "../time.ts";

const TRANSACTION_ID_BYTES = 12;
/** A timer that comes later than this is no timer's usual imprecision. */
const LATE_MS = 50;

/** One Binding request, sent several times, and from where its answer must come. */
export interface Question {
  readonly socket: number;
  readonly to: Endpoint;
  /** RFC 5780 §7.2. Then `from` is another endpoint than `to`. */
  readonly change?: { readonly changeIp: boolean; readonly changePort: boolean };
  /** Where the answer must come from; `to` unless told. */
  readonly from?: Endpoint;
  /** It is we who are at `to`: the request itself must arrive, at any of our sockets. */
  readonly toOurselves?: boolean;
  /** When to send it, in milliseconds from the beginning, ascending, the first 0. */
  readonly sendsMs: readonly number[];
  /** Further times, for a network that has been seen to lose packets; later if that shows later. */
  readonly sendsIfLossyMs?: readonly number[];
  /** It counts as not answered so long after the last time. */
  readonly waitMs: number;
}

/**
 * `elsewhere`: the server answered, but from where it was asked instead of from where it should have, or refused.
 * `arrived`: of a question to ourselves.
 */
export type Reply =
  | {
      readonly kind: "mapped";
      readonly mapped: Endpoint;
      /** RFC 5780's OTHER-ADDRESS, or the same address with the other port that `ut server` tells. */
      readonly otherAddress: Endpoint | undefined;
    }
  | { readonly kind: "error"; readonly code: number | null; readonly message: string }
  | { readonly kind: "elsewhere" }
  | { readonly kind: "arrived" };

/** A question under way, and in the end its reply. Only `Questions` changes it. */
export interface Asked {
  readonly question: Question;
  readonly since: Instant;
  readonly reply: Reply | undefined;
  /** Of the send that was answered. */
  readonly rttMs: number;
  /** What came from `to` without being an answer. */
  readonly nonsense: number;
}

type Asking = { -readonly [K in keyof Asked]: Asked[K] } & { sends: number; lastSend: Instant };

/**
 * All questions of one classification: sends them at their times and matches what comes in. Every send has a
 * transaction of its own, so that round trips are exact and it shows when one was lost; RFC 8489 §6.2.1's 500 ms are
 * too slow where a test has to be silent several times within five seconds. An answer counts only with the
 * transaction, at the socket and from the endpoint that it belongs to.
 */
export class Questions {
  readonly #random: RandomBytes;
  readonly #transmits: Transmit[] = [];
  readonly #asked: Asking[] = [];
  readonly #sent = new Map<string, { asking: Asking; send: number; at: Instant }>();
  #lossy = false;
  #now: Instant = NEVER;
  #listenUntil: Instant = 0;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** A question was answered, but not the first time it was asked. */
  get lossy(): boolean {
    return this.#lossy;
  }

  ask(now: Instant, question: Question): Asked {
    const asking: Asking = { question, since: now, reply: undefined, rttMs: 0, nonsense: 0, sends: 0, lastSend: now };
    this.#asked.push(asking);
    this.#send(now, asking);
    return asking;
  }

  /** No reply has come, and none is waited for. More may be asked yet if losses show. */
  isSilent(now: Instant, asked: Asked): boolean {
    return (
      asked.reply === undefined && this.#dueAt(asked as Asking) === NEVER && now >= this.#silentAt(asked as Asking)
    );
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    this.#wake(now);
    const decoded = decodeStun(payload);
    const sent = decoded.ok ? this.#sent.get(decoded.message.transactionId) : undefined;
    if (!decoded.ok || sent === undefined) {
      for (const asking of this.#asked) {
        if (asking.question.socket === socket && sameEndpoint(asking.question.to, from)) asking.nonsense++;
      }
      return;
    }
    const { asking, send, at } = sent;
    const reply = asking.reply ?? replyTo(asking.question, socket, from, decoded.message);
    if (asking.reply !== undefined || reply === undefined) return;
    asking.reply = reply;
    asking.rttMs = now - at;
    // To ourselves the first may come too early rather than get lost: the other side opens the way for it.
    if (send === 0 || asking.question.toOurselves || this.#lossy) return;
    this.#lossy = true;
    // What was given up has to be asked some more.
    this.#sendDue(now);
  }

  handleTimeout(now: Instant): void {
    this.#wake(now);
    this.#sendDue(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  /** When the next send is due, or a question becomes silent; later than `now`, when all that was due has been sent. */
  nextTimeout(now: Instant): Instant {
    let next = NEVER;
    for (const asking of this.#asked) {
      if (asking.reply !== undefined) continue;
      const due = this.#dueAt(asking);
      const at = due === NEVER ? this.#silentAt(asking) : due;
      if (at > now) next = Math.min(next, at);
    }
    return next;
  }

  /** Late: the process was stopped or crowded out, and what came meanwhile has yet to be read. Until then nothing is silent. */
  #wake(now: Instant): void {
    if (now - this.nextTimeout(this.#now) > LATE_MS) this.#listenUntil = now + LATE_MS;
    this.#now = now;
  }

  #sendDue(now: Instant): void {
    for (const asking of this.#asked) {
      if (this.#dueAt(asking) <= now) this.#send(now, asking);
    }
  }

  #dueAt({ question, lastSend, sends, reply }: Asking): Instant {
    const { sendsMs, sendsIfLossyMs = [] } = question;
    const times = this.#lossy ? [...sendsMs, ...sendsIfLossyMs] : sendsMs;
    const pause = (times[sends] ?? NEVER) - (times[sends - 1] ?? 0);
    return reply !== undefined ? NEVER : lastSend + pause;
  }

  #silentAt({ question, lastSend }: Asking): Instant {
    return Math.max(lastSend + question.waitMs, this.#listenUntil);
  }

  #send(now: Instant, asking: Asking): void {
    const { socket, to, change } = asking.question;
    const transactionId = this.#random(TRANSACTION_ID_BYTES).toHex();
    const attributes = change === undefined ? {} : { changeRequest: change };
    // With a fingerprint the request is long enough for a server that answers at most three times as much in IPv6.
    const request: StunMessage = { class: "request", method: BINDING, transactionId, attributes };
    const payload = encodeStun(request, { fingerprint: true });
    this.#sent.set(transactionId, { asking, send: asking.sends, at: now });
    this.#transmits.push({ socket, to, payload });
    asking.sends++;
    asking.lastSend = now;
  }
}

/** Undefined: it has the right transaction and is still not what was asked for. */
function replyTo(question: Question, socket: number, from: Endpoint, message: StunMessage): Reply | undefined {
  if (question.toOurselves) return message.class === "request" ? { kind: "arrived" } : undefined;
  if (socket !== question.socket || message.method !== BINDING) return undefined;
  const isFromRight = sameEndpoint(from, question.from ?? question.to);
  if (!isFromRight) return sameEndpoint(from, question.to) ? { kind: "elsewhere" } : undefined;
  const { errorCode, xorMappedAddress, mappedAddress, otherAddress, otherPort } = message.attributes;
  if (message.class === "error")
    return { kind: "error", code: errorCode?.code ?? null, message: errorCode?.reason ?? "no reason given" };
  if (message.class !== "success") return undefined;
  const mapped = xorMappedAddress ?? mappedAddress;
  if (mapped === undefined) return { kind: "error", code: null, message: "the answer has no address in it" };
  const second = otherPort === undefined ? undefined : { address: question.to.address, port: otherPort };
  return { kind: "mapped", mapped, otherAddress: otherAddress ?? second };
}
