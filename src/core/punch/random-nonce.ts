import type { RandomBytes } from "../machine.ts";

/** 64 random bits; never 0, which stands for "not known". */
export function randomNonce(random: RandomBytes): bigint {
  const bytes = random(8).slice();
  return new DataView(bytes.buffer).getBigUint64(0) || 1n;
}
