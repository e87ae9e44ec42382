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
const OLD_KEY_MS = 60_000;
/** An unanswered request for new keys is repeated. */
const REPEAT_MS = 2_000;

export interface PipeKeysOptions {
  readonly now: Instant;
  readonly agreement: PipeAgreement;
  /** The side that opened the pipe also asks for new keys. */
  readonly initiator: boolean;
  readonly random: RandomBytes;
  /** A number that no other pipe of this process has. */
  readonly freeSession: () => number;
}

/**
 * The keys of a pipe through its life. The initiator asks for new ones in time; both then seal with the new and open
 * with either for a minute, so that nothing on its way is lost. New keys come from a fresh X25519 exchange and from the
 * old ones' chain: who stole a key later reads nothing earlier, and nobody can mix two pipes.
 */
export class PipeKeys {
  readonly #options: PipeKeysOptions;
  #sealer: Sealer;
  #opener: Opener;
  #old: Opener | undefined;
  #chain: Uint8Array;
  #oldUntil: Instant = NEVER;
  #madeAt: Instant;
  /** Our half of an exchange under way. */
  #asking: { readonly pair: X25519KeyPair; readonly session: number; repeatAt: Instant } | undefined;
  /** The last answer that was given: a request that comes again gets it again. */
  #given: { readonly session: number; readonly reply: PipeControl } | undefined;

  constructor(options: PipeKeysOptions) {
    this.#options = options;
    this.#sealer = new Sealer(options.agreement.send);
    this.#opener = new Opener(options.agreement.receive);
    this.#chain = options.agreement.chain;
    this.#madeAt = options.now;
  }

  /** The numbers by which packets for this pipe are found. */
  get sessions(): readonly number[] {
    const asked = this.#asking === undefined ? [] : [this.#asking.session];
    return [this.#opener.session, ...(this.#old === undefined ? [] : [this.#old.session]), ...asked];
  }

  seal(type: number, flow: number, payload: Uint8Array): Uint8Array {
    return this.#sealer.seal(type, flow, payload);
  }

  open(packet: Uint8Array): Opened {
    const isOld = this.#old !== undefined && readSession(packet) === this.#old.session;
    return (isOld && this.#old !== undefined ? this.#old : this.#opener).open(packet);
  }

  /** What to say about keys now, if anything. */
  handleTimeout(now: Instant): PipeControl | undefined {
    if (now >= this.#oldUntil) {
      this.#old = undefined;
      this.#oldUntil = NEVER;
    }
    if (!this.#options.initiator || now < this.#dueAt) return undefined;
    const { random, freeSession } = this.#options;
    this.#asking ??= { pair: x25519KeyPair(random(X25519_KEY_BYTES)), session: freeSession(), repeatAt: NEVER };
    this.#asking.repeatAt = now + REPEAT_MS;
    return { type: "rekey", session: this.#asking.session, key: this.#asking.pair.publicKey };
  }

  nextTimeout(): Instant {
    return Math.min(this.#oldUntil, this.#options.initiator ? this.#dueAt : NEVER);
  }

  /** The other side asks for new keys: what to answer, sealed with the key that is still in use. */
  answer(now: Instant, { session, key }: PipeControl & { type: "rekey" }): PipeControl | undefined {
    if (this.#options.initiator) return undefined;
    if (this.#given?.session === session) return this.#given.reply;
    const pair = x25519KeyPair(this.#options.random(X25519_KEY_BYTES));
    const own = this.#options.freeSession();
    if (!this.#adopt(now, pair, key, { send: session, receive: own })) return undefined;
    const reply: PipeControl = { type: "rekeyed", session: own, key: pair.publicKey };
    this.#given = { session, reply };
    return reply;
  }

  /** The answer to our request. */
  complete(now: Instant, { session, key }: PipeControl & { type: "rekeyed" }): void {
    const asking = this.#asking;
    if (asking === undefined) return;
    if (this.#adopt(now, asking.pair, key, { send: session, receive: asking.session })) this.#asking = undefined;
  }

  get #dueAt(): Instant {
    if (this.#asking !== undefined) return this.#asking.repeatAt;
    return this.#sealer.packets >= REKEY_PACKETS ? Number.NEGATIVE_INFINITY : this.#madeAt + REKEY_MS;
  }

  #adopt(
    now: Instant,
    pair: X25519KeyPair,
    peerKey: Uint8Array,
    sessions: { readonly send: number; readonly receive: number },
  ): boolean {
    const secret = x25519(pair, peerKey);
    if (secret === undefined) return false;
    const keys = directionKeys(secret, this.#chain);
    const [send, receive] = this.#options.initiator
      ? [keys.initiator, keys.responder]
      : [keys.responder, keys.initiator];
    this.#chain = sha256(this.#chain);
    this.#sealer = new Sealer({ key: send, session: sessions.send });
    this.#old = this.#opener;
    this.#oldUntil = now + OLD_KEY_MS;
    this.#opener = new Opener({ key: receive, session: sessions.receive });
    this.#madeAt = now;
    return true;
  }
}
