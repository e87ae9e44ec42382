import type { RandomBytes } from "../machine.ts";

/** What the checks of one ICE session are made with, told in the signed offer or answer. New for each session. */
export interface IceCredentials {
  /** 4 to 256 characters of base64. */
  readonly ufrag: string;
  /** 22 to 256 characters of base64; secret. */
  readonly pwd: string;
}

/** RFC 8445 §5.3 asks for 24 and 128 bits of randomness: these have 48 and 144. */
export function createIceCredentials(random: RandomBytes): IceCredentials {
  return { ufrag: random(6).toBase64(), pwd: random(18).toBase64() };
}
