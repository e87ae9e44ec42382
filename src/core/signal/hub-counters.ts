import type { PunchReject } from "../wire/signal.ts";
import type { EvictReason } from "./hub-event.ts";

/**
 * Why the server sent nobody to the target, or nothing came back.
 * - `peer-not-reachable`: it did not register in time, or went away. `no-answer`: it said nothing to the offer.
 * - `target-busy`: it has as many channels as it may, or as many with this CN, or does not read.
 * - `too-large`: with what is added on the way, the offer or the answer fits no message.
 */
export type OpenFailure =
  | "peer-not-reachable"
  | "no-answer"
  | "self"
  | "target-busy"
  | "too-many-channels"
  | "too-many-pending"
  | "rate-limited"
  | "too-large";

/**
 * Signals that went nowhere: `unexpected` in this state, `unknown-channel` that is not (or no longer) the sender's,
 * `absent`: for an end that has no control connection or does not read, `rate`: more than anybody needs.
 */
export type SignalDrop = "unexpected" | "unknown-channel" | "absent" | "rate";

/** Plain numbers, read at scrape time. */
export class HubCounters {
  signals = 0;
  opened = 0;
  /** Starts of ICE that both ends were told, and introductions for hard-NAT. */
  starts = 0;
  introductions = 0;
  readonly failed: Record<OpenFailure | "rejected", number> = {
    "peer-not-reachable": 0,
    "no-answer": 0,
    self: 0,
    "target-busy": 0,
    "too-many-channels": 0,
    "too-many-pending": 0,
    "rate-limited": 0,
    "too-large": 0,
    rejected: 0,
  };
  readonly punchRejects: Record<PunchReject, number> = {
    "rate-limited": 0,
    "unknown-target": 0,
    "no-session": 0,
    "reflex-mismatch": 0,
  };
  readonly dropped: Record<SignalDrop, number> = { unexpected: 0, "unknown-channel": 0, absent: 0, rate: 0 };
  readonly evicted: Record<EvictReason, number> = {
    replaced: 0,
    reconnected: 0,
    "too-many": 0,
    dead: 0,
    "slow-reader": 0,
    flood: 0,
  };
}
