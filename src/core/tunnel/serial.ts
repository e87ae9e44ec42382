/** Sequence numbers are u32 and wrap; RFC 1982 §3.2 says which of two comes later. */

/** How far `a` is ahead of `b`: negative if it comes before. */
export function serialDistance(a: number, b: number): number {
  return (a - b) | 0;
}

export function serialNext(seq: number, steps = 1): number {
  return (seq + steps) >>> 0;
}
