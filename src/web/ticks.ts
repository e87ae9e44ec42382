/** The smallest of 1, 2, 2.5, 5, 10, 20, … that `steps` of them reach up to `top`. */
function niceStep(top: number, steps: number): number {
  const raw = top / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 2.5, 5].find((one) => one * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Where the lines of a scale from 0 to at least `top` stand: 0, and three or four above it. */
export function ticksUpTo(top: number): number[] {
  const step = niceStep(top, 4);
  const count = Math.max(1, Math.ceil(top / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}
