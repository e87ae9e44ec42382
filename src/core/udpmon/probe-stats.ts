import { RttHistogram } from "./rtt-histogram.ts";

/** RFC 3550 §6.4.1: the gain of the jitter's estimate. */
const JITTER_GAIN = 1 / 16;

/** What became of probes so far. `sent` is `received`, `dropped` and those that are on their way. */
export class ProbeStats {
  sent = 0;
  /** Answered in time. */
  received = 0;
  /** Not answered in time. */
  dropped = 0;
  /** An answer that had come already. */
  duplicates = 0;
  /** Answered after one that was sent later. */
  reordered = 0;
  /** Anything else that arrived: too late, or nobody's answer. */
  unexpected = 0;
  readonly rtt = new RttHistogram();
  /** Mean deviation of the round trip from one answer to the next, smoothed as RTP does it, in ms. */
  jitterMs = 0;
  #lastRttMs: number | undefined;

  answered(rttMs: number, isReordered: boolean): void {
    this.received += 1;
    if (isReordered) this.reordered += 1;
    this.rtt.add(rttMs);
    const last = this.#lastRttMs ?? rttMs;
    this.jitterMs += (Math.abs(rttMs - last) - this.jitterMs) * JITTER_GAIN;
    this.#lastRttMs = rttMs;
  }

  summary(): ProbeSummary {
    const { sent, received, dropped, duplicates, reordered, unexpected, rtt, jitterMs } = this;
    const settled = received + dropped;
    return {
      sent,
      received,
      dropped,
      duplicates,
      reordered,
      unexpected,
      loss: settled === 0 ? null : dropped / settled,
      rttMs:
        rtt.count === 0
          ? null
          : {
              min: rtt.min,
              mean: rtt.mean,
              p50: rtt.percentile(50),
              p95: rtt.percentile(95),
              p99: rtt.percentile(99),
              max: rtt.max,
            },
      jitterMs,
    };
  }
}

/** Plain data, fit for JSON. */
export interface ProbeSummary {
  readonly sent: number;
  readonly received: number;
  readonly dropped: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly unexpected: number;
  /** Of those whose time is over, 0 to 1; null before there is one. */
  readonly loss: number | null;
  /** Percentiles are right to 1 %; null before the first answer. */
  readonly rttMs: {
    readonly min: number;
    readonly mean: number;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  } | null;
  readonly jitterMs: number;
}
