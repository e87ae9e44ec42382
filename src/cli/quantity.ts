/** `12.3 Mbit/s` */
export function formatRate(bitsPerSecond: number): string {
  return scaled(bitsPerSecond, "bit/s");
}

/** `12.3 MB` */
export function formatBytes(bytes: number): string {
  return scaled(bytes, "B");
}

/** Three digits that mean something, and the thousand that they count in. */
function scaled(value: number, unit: string): string {
  const power = value < 1_000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  const number = value / 1_000 ** power;
  const digits = power === 0 || number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return `${number.toFixed(digits)} ${["", "k", "M", "G", "T"][power]}${unit}`;
}

const BARS = "▁▂▃▄▅▆▇█";

/** `values` as a line of `width` bars, the highest of them at `top`; unknown ones are blanks. */
export function sparkline(values: readonly (number | null)[], width: number, top: number): string {
  const size = values.length / width;
  return Array.from({ length: Math.min(width, values.length) }, (_, index) => {
    const [from, to] = size <= 1 ? [index, index + 1] : [Math.floor(index * size), Math.floor((index + 1) * size)];
    const known = values.slice(from, to).filter((value) => value !== null);
    if (known.length === 0) return " ";
    const share = top <= 0 ? 0 : Math.max(...known) / top;
    return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))] ?? " ";
  }).join("");
}
