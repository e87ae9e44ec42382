const LEVELS = "▁▂▃▄▅▆▇█";

/** One character a value, the tallest for the largest; `×` for what is missing. */
export function sparkline(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return values
    .map((value) => {
      if (value === undefined) return "×";
      const share = most === least ? 0 : (value - least) / (most - least);
      return LEVELS[Math.round(share * (LEVELS.length - 1))];
    })
    .join("");
}
