import type { Pooling, PortAllocation } from "./nat-type.ts";

/** One mapping, in the order in which they were made: the inside port, and where it came out. */
export interface PortSample {
  readonly socket: number;
  readonly insidePort: number;
  readonly outsideAddress: string;
  readonly outsidePort: number;
}

/** Further apart than this two ports in a row are not neighbours: others took a few between, but not hundreds. */
const MAX_STEP = 64;
const PORTS = 65_536;

/**
 * How outside ports are chosen, from one sample for each mapping.
 *
 * Sequential: the steps between samples are small and mostly of one sign; `delta` is what all of these are multiples
 * of, since other users of the NAT take ports between ours, and packets overtake each other. Two mappings cannot tell
 * sequential from random, so that is null.
 *
 * `further` are those samples whose port the next peer's is expected to resemble: behind a symmetric NAT a socket's
 * first mapping may keep its port and the others not.
 */
export function judgePorts(
  samples: readonly PortSample[],
  further: readonly PortSample[] = samples,
): PortAllocation | null {
  const kept = further.filter(({ insidePort, outsidePort }) => insidePort === outsidePort).length;
  if (kept > 0 && 2 * kept > further.length) return { kind: "preserved" };
  if (samples.length < 3) return null;
  const steps = samples.slice(1).map((sample, i) => stepBetween(samples[i]?.outsidePort ?? 0, sample.outsidePort));
  const near = steps.filter((step) => step !== 0 && Math.abs(step) <= MAX_STEP);
  const up = near.filter((step) => step > 0);
  const down = near.filter((step) => step < 0);
  const along = up.length >= down.length ? up : down;
  if (along.length < 2 || 2 * along.length <= steps.length) return { kind: "random" };
  return { kind: "sequential", delta: along.reduce(greatestCommonDivisor) * (along === up ? 1 : -1) };
}

/** All ports of this host, whatever they talk to, come from one outside address or from several. */
export function judgePooling(samples: readonly PortSample[]): Pooling | null {
  const addresses = new Set(samples.map(({ outsideAddress }) => outsideAddress));
  if (addresses.size > 1) return "arbitrary";
  return new Set(samples.map(({ socket }) => socket)).size > 1 ? "paired" : null;
}

/** The shorter way round, so that 65535 → 1 is a step up. */
function stepBetween(from: number, to: number): number {
  const up = (to - from + PORTS) % PORTS;
  return up <= PORTS / 2 ? up : up - PORTS;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);
}
