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
/** What was not answered is repeated. */
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
  /** New keys are due after so many packets; `REKEY_PACKETS` unless a test cannot wait for them. */
  readonly rekeyPackets?: number;
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
 * them has come, since only then it knows that its answer got through. Each opens what comes under the old ones for a
 * minute longer than the other side can be using them, so nothing on its way is lost.
 */
export class PipeKeys {
  readonly #options: PipeKeysOptions;
  #current: Generation;
  #old: Generation | undefined;
  #oldUntil: Instant = NEVER;
  #asking: Asking | undefined;
  /** When the other side is to be shown new keys again; `NEVER` once it has used them. */
  #showAt: Instant = NEVER;
  #answeredAt: Instant = Number.NEGATIVE_INFINITY;
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
    if (session === this.#next?.generation.opener.session) {
      const opened = this.#next.generation.opener.open(packet);
      if (opened.ok) this.#adopt(this.#next.generation, now + OLD_KEY_MS);
      return opened;
    }
    const opened = this.#current.opener.open(packet);
    if (opened.ok && this.#showAt !== NEVER) {
      this.#showAt = NEVER;
      this.#oldUntil = now + OLD_KEY_MS;
    }
    return opened;
  }

  /** The pipe has ended: gives all its numbers back. */
  release(): void {
    const numbers = [this.#current, this.#old, this.#next?.generation].map((one) => one?.opener.session);
    for (const session of [...numbers, this.#asking?.session])
      if (session !== undefined) this.#options.releaseSession(session);
  }

  /** What to say about keys now, if anything. `show`: anything that is answered will do, under the new keys. */
  handleTimeout(now: Instant): PipeControl | "show" | undefined {
    if (now >= this.#oldUntil) {
      this.#forget(this.#old);
      this.#old = undefined;
      this.#oldUntil = NEVER;
    }
    if (now >= this.#showAt) {
      this.#showAt = now + REPEAT_MS;
      return "show";
    }
    if (now < this.#dueAt) return undefined;
    const { random, takeSession } = this.#options;
    this.#asking ??= { pair: x25519KeyPair(random(X25519_KEY_BYTES)), session: takeSession(), repeatAt: NEVER };
    this.#asking.repeatAt = now + REPEAT_MS;
    return { type: "rekey", session: this.#asking.session, key: this.#asking.pair.publicKey };
  }

  nextTimeout(): Instant {
    return Math.min(this.#oldUntil, this.#showAt, this.#dueAt);
  }

  /** The other side asks for new keys: what to answer. */
  answer(now: Instant, session: number, key: Uint8Array): PipeControl | undefined {
    if (this.#options.initiator) return undefined;
    if (this.#next?.asked === session) return this.#next.reply;
    // The request that made the keys in use, come late; or more of them than anybody needs.
    if (session === this.#current.sealer.session) return undefined;
    if (now - this.#answeredAt < REPEAT_MS) return undefined;
    this.#answeredAt = now;
    const pair = x25519KeyPair(this.#options.random(X25519_KEY_BYTES));
    const own = this.#options.takeSession();
    const generation = this.#derive(now, pair, key, { send: session, receive: own });
    if (generation === undefined) {
      this.#options.releaseSession(own);
      return undefined;
    }
    const reply: PipeControl = { type: "rekeyed", session: own, key: pair.publicKey };
    this.#forget(this.#next?.generation);
    this.#next = { generation, asked: session, reply };
    return reply;
  }

  /** The answer to our request. The new keys are shown from `handleTimeout`, which is due now. */
  complete(now: Instant, session: number, key: Uint8Array): void {
    const asking = this.#asking;
    if (asking === undefined) return;
    const generation = this.#derive(now, asking.pair, key, { send: session, receive: asking.session });
    if (generation === undefined) return;
    this.#asking = undefined;
    this.#adopt(generation, NEVER);
    this.#showAt = now;
  }

  /** Of the initiator; not before the other side uses the keys there are. */
  get #dueAt(): Instant {
    if (!this.#options.initiator || this.#showAt !== NEVER) return NEVER;
    if (this.#asking !== undefined) return this.#asking.repeatAt;
    const { sealer, opener, madeAt } = this.#current;
    const limit = this.#options.rekeyPackets ?? REKEY_PACKETS;
    return Math.max(sealer.packets, opener.packets) >= limit ? Number.NEGATIVE_INFINITY : madeAt + REKEY_MS;
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

  #adopt(generation: Generation, oldUntil: Instant): void {
    this.#forget(this.#old);
    this.#old = this.#current;
    this.#oldUntil = oldUntil;
    this.#current = generation;
    this.#next = undefined;
  }

  #forget(generation: Generation | undefined): void {
    if (generation !== undefined) this.#options.releaseSession(generation.opener.session);
  }
}
