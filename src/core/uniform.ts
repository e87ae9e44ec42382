import type { RandomBytes } from "./machine.ts";

/** A number from 0 up to, not including, 1, in steps of 2⁻³²: for spreading in time, never for secrets. */
export function uniform(random: RandomBytes): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}
