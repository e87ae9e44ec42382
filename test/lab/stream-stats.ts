import type { Arrival } from "./pulse.ts";

export interface StreamStats {
  /** Different datagrams that arrived. */
  delivered: number;
  /** Arrivals beyond the first of each datagram. */
  duplicates: number;
  /** Arrivals after one with a higher number (RFC 4737 §3.3), duplicates not counted. */
  reordered: number;
  /** One way, of the first arrival of each datagram. */
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Counts and one-way latency of a stream, in order of arrival. Percentiles are nearest-rank; NaN of nothing. */
export function streamStats(arrivals: readonly Arrival[]): StreamStats {
  const seen = new Set<number>();
  const latencies: number[] = [];
  let duplicates = 0;
  let reordered = 0;
  let highest = -1;
  for (const { seq, sentNs, receivedNs } of arrivals) {
    if (seen.has(seq)) {
      duplicates += 1;
      continue;
    }
    seen.add(seq);
    latencies.push((receivedNs - sentNs) / 1e6);
    if (seq < highest) reordered += 1;
    else highest = seq;
  }
  latencies.sort((one, other) => one - other);
  return {
    delivered: seen.size,
    duplicates,
    reordered,
    p50Ms: percentile(latencies, 50),
    p95Ms: percentile(latencies, 95),
    p99Ms: percentile(latencies, 99),
    maxMs: latencies.at(-1) ?? Number.NaN,
  };
}

/** Nearest-rank percentile of sorted numbers, NaN when there are none. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** The longest time without any arrival between two moments, in ms, the edges included. */
export function longestGapMs(arrivals: readonly Arrival[], fromNs: number, untilNs: number): number {
  let last = fromNs;
  let longest = 0;
  for (const { receivedNs } of arrivals) {
    if (receivedNs < fromNs || receivedNs > untilNs) continue;
    longest = Math.max(longest, receivedNs - last);
    last = receivedNs;
  }
  return Math.max(longest, untilNs - last) / 1e6;
}
