import type { RandomBytes } from "../machine.ts";
import type { StunAttributes } from "../stun/attributes.ts";

/** Which side chooses the pair, and how two that both think they do agree (RFC 8445 §7.3.1.1 and §7.2.5.1). */
export class Role {
  readonly #random: RandomBytes;
  #controlling: boolean;
  #tieBreaker: bigint;

  constructor(controlling: boolean, random: RandomBytes) {
    this.#random = random;
    this.#controlling = controlling;
    this.#tieBreaker = drawTieBreaker(random);
  }

  get controlling(): boolean {
    return this.#controlling;
  }

  /** What a check of ours says of it. */
  get attributes(): Pick<StunAttributes, "iceControlling" | "iceControlled"> {
    return this.#controlling ? { iceControlling: this.#tieBreaker } : { iceControlled: this.#tieBreaker };
  }

  /** What a check of the peer says: false when the peer has to give in. Otherwise there is no conflict any more. */
  settle({ iceControlling, iceControlled }: StunAttributes): boolean {
    const theirs = this.#controlling ? iceControlling : iceControlled;
    if (theirs === undefined) return true;
    const weControl = this.#tieBreaker >= theirs;
    if (weControl === this.#controlling) return false;
    this.#controlling = weControl;
    return true;
  }

  /** The peer has answered 487 to a check that claimed this role: the other one is ours, if it is not already. */
  yield(claimedControlling: boolean): void {
    if (claimedControlling !== this.#controlling) return;
    this.#controlling = !claimedControlling;
    this.#tieBreaker = drawTieBreaker(this.#random);
  }
}

function drawTieBreaker(random: RandomBytes): bigint {
  const bytes = random(8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}
