import { sha256 } from "../crypto.ts";
import { X25519_KEY_BYTES, type X25519KeyPair, x25519, x25519KeyPair } from "../crypto-sealing.ts";
import type { RandomBytes } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PipeControl } from "./control-message.ts";
import { directionKeys, type PipeAgreement } from "./handshake.ts";
import { readSession } from "./packet.ts";
import { type Opened, Opener, REKEY_PACKETS, Sealer } from "./sealing.ts";

/** New keys are due after so long (DESIGN). */
export const REKEY_MS = 2 * 60 * 60 * 1_000;
/** What was sealed under the old key may still be on its way for so long. */
export const OLD_KEY_MS = 60_000;
/** An unanswered request for new keys is repeated. */
const REPEAT_MS = 2_000;

export interface PipeKeysOptions {
  readonly now: Instant;
  readonly agreement: PipeAgreement;
  /** The side that opened the pipe also asks for new keys. */
  readonly initiator: boolean;
  readonly random: RandomBytes;
  /** A u32 that no other pipe of this process has: packets that carry it are this pipe's from now on. */
  readonly takeSession: () => number;
  /** Packets with this number are nobody's from now on. Called for every number, that of the agreement too. */
  readonly releaseSession: (session: number) => void;
}

/** Keys of both directions. */
interface Generation {
  readonly sealer: Sealer;
  readonly opener: Opener;
  /** Salt of the next generation. */
  readonly chain: Uint8Array;
  readonly madeAt: Instant;
}

/** Our half of an exchange under way. */
interface Asking {
  readonly pair: X25519KeyPair;
  readonly session: number;
  repeatAt: Instant;
}

/**
 * The keys of a pipe through its life. The initiator asks for new ones in time, with a fresh X25519 exchange that is
 * sealed under the old ones. It seals with the new keys as soon as it has them; the other side does once a packet under
 * them has come, since only then it knows that its answer got through. Old ones open for a minute longer, so nothing
 * on its way is lost.
 */
export class PipeKeys {
  readonly #options: PipeKeysOptions;
  #current: Generation;
  #old: Generation | undefined;
  #oldUntil: Instant = NEVER;
  #asking: Asking | undefined;
  /** Made for a request: it waits for its first packet. `reply` is given again when the request comes again. */
  #next: { readonly generation: Generation; readonly asked: number; readonly reply: PipeControl } | undefined;

  constructor(options: PipeKeysOptions) {
    const { now, agreement } = options;
    this.#options = options;
    this.#current = {
      sealer: new Sealer(agreement.send),
      opener: new Opener(agreement.receive),
      chain: agreement.chain,
      madeAt: now,
    };
  }

  seal(type: number, flow: number, payload: Uint8Array): Uint8Array {
    return this.#current.sealer.seal(type, flow, payload);
  }

  open(now: Instant, packet: Uint8Array): Opened {
    const session = readSession(packet);
    if (session === this.#old?.opener.session) return this.#old.opener.open(packet);
    if (session !== this.#next?.generation.opener.session) return this.#current.opener.open(packet);
    const opened = this.#next.generation.opener.open(packet);
    if (opened.ok) this.#adopt(now, this.#next.generation);
    return opened;
  }

  /** The pipe has ended: gives all its numbers back. */
  release(): void {
    const numbers = [this.#current, this.#old, this.#next?.generation].map((one) => one?.opener.session);
    for (const session of [...numbers, this.#asking?.session])
      if (session !== undefined) this.#options.releaseSession(session);
  }

  /** What to say about keys now, if anything. */
  handleTimeout(now: Instant): PipeControl | undefined {
    if (now >= this.#oldUntil) {
      this.#forget(this.#old);
      this.#old = undefined;
      this.#oldUntil = NEVER;
    }
    if (!this.#options.initiator || now < this.#dueAt) return undefined;
    const { random, takeSession } = this.#options;
    this.#asking ??= { pair: x25519KeyPair(random(X25519_KEY_BYTES)), session: takeSession(), repeatAt: NEVER };
    this.#asking.repeatAt = now + REPEAT_MS;
    return { type: "rekey", session: this.#asking.session, key: this.#asking.pair.publicKey };
  }

  nextTimeout(): Instant {
    return Math.min(this.#oldUntil, this.#options.initiator ? this.#dueAt : NEVER);
  }

  /** The other side asks for new keys: what to answer. */
  answer(now: Instant, session: number, key: Uint8Array): PipeControl | undefined {
    if (this.#options.initiator) return undefined;
    if (this.#next?.asked === session) return this.#next.reply;
    const pair = x25519KeyPair(this.#options.random(X25519_KEY_BYTES));
    const own = this.#options.takeSession();
    const generation = this.#derive(now, pair, key, { send: session, receive: own });
    if (generation === undefined) return undefined;
    const reply: PipeControl = { type: "rekeyed", session: own, key: pair.publicKey };
    this.#forget(this.#next?.generation);
    this.#next = { generation, asked: session, reply };
    return reply;
  }

  /** The answer to our request. False: it was none. */
  complete(now: Instant, session: number, key: Uint8Array): boolean {
    const asking = this.#asking;
    if (asking === undefined) return false;
    const generation = this.#derive(now, asking.pair, key, { send: session, receive: asking.session });
    if (generation === undefined) return false;
    this.#asking = undefined;
    this.#adopt(now, generation);
    return true;
  }

  get #dueAt(): Instant {
    if (this.#asking !== undefined) return this.#asking.repeatAt;
    const { sealer, madeAt } = this.#current;
    return sealer.packets >= REKEY_PACKETS ? Number.NEGATIVE_INFINITY : madeAt + REKEY_MS;
  }

  #derive(
    now: Instant,
    pair: X25519KeyPair,
    peerKey: Uint8Array,
    sessions: { readonly send: number; readonly receive: number },
  ): Generation | undefined {
    const secret = x25519(pair, peerKey);
    if (secret === undefined) return undefined;
    const { initiator, responder } = directionKeys(secret, this.#current.chain);
    const [send, receive] = this.#options.initiator ? [initiator, responder] : [responder, initiator];
    return {
      sealer: new Sealer({ key: send, session: sessions.send }),
      opener: new Opener({ key: receive, session: sessions.receive }),
      chain: sha256(this.#current.chain),
      madeAt: now,
    };
  }

  #adopt(now: Instant, generation: Generation): void {
    this.#forget(this.#old);
    this.#old = this.#current;
    this.#oldUntil = now + OLD_KEY_MS;
    this.#current = generation;
    this.#next = undefined;
  }

  #forget(generation: Generation | undefined): void {
    if (generation !== undefined) this.#options.releaseSession(generation.opener.session);
  }
}
