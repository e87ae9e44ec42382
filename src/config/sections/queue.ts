import { integer, mapping, oneOf } from "../leaf.ts";

/** What happens to a datagram when the queue is full. */
export const DROP_POLICIES = ["oldest"] as const;

/** CoDel's target; measured in docs/performance.md. */
export const DEFAULT_TARGET_MS = 10;

const KIB = 1024;
const MIB = 1024 * KIB;

/** The queue in front of the lanes, one per session and direction. */
export const queueSection = mapping({
  max_packets: integer({ min: 1, max: 65_536 }).default(4096).describe("Datagrams that may wait for a lane."),
  // The lower limit holds any one datagram (65,507 bytes), or large ones could never pass.
  max_bytes: integer({ min: 64 * KIB, max: 256 * MIB, unit: "bytes" })
    .default(8 * MIB)
    .describe("Bytes that may wait for a lane."),
  drop_policy: oneOf(DROP_POLICIES).default("oldest").describe("What a full queue drops."),
  max_delay_ms: integer({ min: 0, max: 60_000, unit: "milliseconds" })
    .default(0)
    .describe("Datagrams that have waited longer are dropped; 0 never drops by age."),
  target_ms: integer({ min: 0, max: 1_000, unit: "milliseconds" })
    .default(DEFAULT_TARGET_MS)
    .describe("A queue in which datagrams wait longer than this for 100 ms is thinned out (CoDel); 0 never."),
}).describe("The queue in front of the lanes, one per session and direction.");
