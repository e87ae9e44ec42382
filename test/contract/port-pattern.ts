/** Ports this many apart, and always the same number, were not drawn at random. */
const MAX_STEP = 16;

/**
 * Outside ports without what is random about them, those of one socket after another: `own` is the inside port, the
 * same letter is the same port, `-` is none. Where all ports that are not `own` stand in one sequence they are written
 * `A A+1 A+2`, in the order in which they were taken.
 */
export function describePorts(sockets: readonly (readonly (number | undefined)[])[], inside?: number): string {
  const distinct = new Set(sockets.flat().filter((port) => port !== undefined && port !== inside));
  const names = namesOf([...distinct] as number[]);
  const nameOf = (port: number | undefined) =>
    port === undefined ? "-" : port === inside ? "own" : (names.get(port) ?? "");
  return sockets.map((ports) => ports.map(nameOf).join(" ")).join(", ");
}

function namesOf(ports: readonly number[]): Map<number, string> {
  const [first = 0, second = 0] = ports;
  const step = second - first;
  // Three ports: two at random are too often close to each other.
  const inSequence =
    ports.length > 2 && Math.abs(step) <= MAX_STEP && ports.every((port, index) => port === first + index * step);
  const sign = step > 0 ? "+" : "";
  return new Map(
    ports.map((port, index) => [
      port,
      inSequence ? (index === 0 ? "A" : `A${sign}${index * step}`) : String.fromCharCode("A".charCodeAt(0) + index),
    ]),
  );
}
