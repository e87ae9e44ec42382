import type { Pooling, PortAllocation } from "./nat-type.ts";

/** One mapping, in the order in which they were made: the inside port, and where it came out. */
export interface PortSample {
  readonly socket: number;
  readonly insidePort: number;
  readonly outsideAddress: string;
  readonly outsidePort: number;
}

/**
 * Ports of one sequence lie this close together: others took a few between, but not hundreds. Of five random ports most
 * do so once in 40,000 times.
 */
const MAX_SPREAD = 64;
const PORTS = 65_536;

/**
 * How outside ports are chosen, from one sample for each mapping.
 *
 * Sequential: more than half of the samples lie close together, and from one to the next most steps have one sign.
 * `delta` is what all of these steps are multiples of, since other users of the NAT take ports between ours, and packets
 * overtake each other. Samples elsewhere are lies, or the sequence's end and beginning. Two mappings cannot tell
 * sequential from random, so that is null.
 *
 * `further` are those samples whose port the next peer's is expected to resemble: behind a symmetric NAT a socket's
 * first mapping may keep its port and the others not.
 */
export function judgePorts(
  samples: readonly PortSample[],
  further: readonly PortSample[] = samples,
): PortAllocation | null {
  if (2 * further.filter(isKept).length > further.length) return { kind: "preserved" };
  // Ports that are kept follow each other as the inside ones do, which says nothing.
  const chosen = samples.filter((sample) => !isKept(sample));
  if (chosen.length < 3) return null;
  const ports = largestCluster(chosen.map(({ outsidePort }) => outsidePort));
  const steps = ports.slice(1).map((port, i) => stepBetween(ports[i] ?? 0, port));
  const up = steps.filter((step) => step > 0);
  const down = steps.filter((step) => step < 0);
  const along = up.length >= down.length ? up : down;
  if (2 * ports.length <= chosen.length || along.length < 2) return { kind: "random" };
  return { kind: "sequential", delta: along.reduce(greatestCommonDivisor) * (along === up ? 1 : -1) };
}

function isKept({ insidePort, outsidePort }: PortSample): boolean {
  return insidePort === outsidePort;
}

/** Of all ports those that lie close to one of them, in their order; the most that there are. */
function largestCluster(ports: readonly number[]): number[] {
  const clusters = ports.map((centre) => ports.filter((port) => Math.abs(stepBetween(centre, port)) <= MAX_SPREAD));
  return clusters.reduce((best, cluster) => (cluster.length > best.length ? cluster : best), []);
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
