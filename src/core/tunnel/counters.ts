import type { FrameErrorKind } from "../wire/pdu.ts";

/** `up` is client to server, on both nodes. */
export type Direction = "up" | "down";

/**
 * Why a datagram that entered a node did not leave it. For each direction, over both nodes together:
 * in = out + dropped (all reasons) + queued.
 *
 * - `oldest`      the session queue was full (`queue.max_packets`, `queue.max_bytes`)
 * - `delay`       it waited longer than `queue.max_delay_ms`
 * - `codel`     the queue had been standing for longer than `queue.target_ms` (one now and then, so that TCP inside slows)
 * - `stale`       it waited over 5 s for lanes to return
 * - `too_large`   it does not fit a PDU (`pdu_too_large`)
 * - `lane_lost`   its lane broke with it; counted by the receiver, from the gap in the sequence numbers
 * - `udp_error`   the system refused to send it twice
 * - `udp_blocked` the local UDP socket could not take it and its waiting room was full
 * - `no_peer`     no local datagram has told the client yet where to send
 * - `closed`      it was still waiting when its session ended
 */
export const DROP_REASONS = [
  "oldest",
  "delay",
  "codel",
  "stale",
  "too_large",
  "lane_lost",
  "udp_error",
  "udp_blocked",
  "no_peer",
  "closed",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Upper bounds of `ut_queue_delay_seconds`, in milliseconds. */
export const DELAY_BUCKETS_MS = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000] as const;

/** A histogram of plain numbers: the hot path adds, the scrape reads. */
export class DelayHistogram {
  /** One more than the bounds: the last one counts what is beyond all of them. Not cumulative. */
  readonly buckets = new Float64Array(DELAY_BUCKETS_MS.length + 1);
  sumMs = 0;
  count = 0;

  observe(delayMs: number): void {
    let bucket = 0;
    while (bucket < DELAY_BUCKETS_MS.length && delayMs > (DELAY_BUCKETS_MS[bucket] as number)) bucket++;
    // Invariant: bucket <= bounds.length, and there is one bucket more than bounds.
    this.buckets[bucket]! += 1;
    this.sumMs += delayMs;
    this.count += 1;
  }
}

/** Datagrams and payload bytes of one direction through one node. */
export class DirectionCounters {
  inPackets = 0;
  inBytes = 0;
  outPackets = 0;
  outBytes = 0;
  readonly drops: Record<DropReason, number> = {
    oldest: 0,
    delay: 0,
    codel: 0,
    stale: 0,
    too_large: 0,
    lane_lost: 0,
    udp_error: 0,
    udp_blocked: 0,
    no_peer: 0,
    closed: 0,
  };
}

/**
 * Why a datagram of a channel that entered a node did not leave it. For each direction, over both nodes together:
 * in = out + dropped (all reasons) + queued + broken with a lane. The last cannot be counted: channels have no sequence
 * numbers, as the pipe inside numbers its packets itself.
 *
 * - `oldest`      512 of its channel waited already, or 8 MiB of all channels of its session
 * - `stale`       it waited over 5 s for lanes to return
 * - `too_large`   it does not fit a PDU
 * - `too_many`    datagrams of 64 other channels of its session wait
 * - `unsupported` the other end of the lanes knows no channels
 * - `unknown`     its channel leads nowhere, or is not the sender's
 * - `no_session`  the peer that it is for may open no further session
 * - `closed`      it still waited when its channel or its session ended
 */
export const CHANNEL_DROP_REASONS = [
  "oldest",
  "stale",
  "too_large",
  "too_many",
  "unsupported",
  "unknown",
  "no_session",
  "closed",
] as const;
export type ChannelDropReason = (typeof CHANNEL_DROP_REASONS)[number];

/** Datagrams of pipes between peers, in one direction of one client's lanes. Bytes without any framing. */
export class ChannelCounters {
  inPackets = 0;
  inBytes = 0;
  outPackets = 0;
  outBytes = 0;
  readonly drops: Record<ChannelDropReason, number> = {
    oldest: 0,
    stale: 0,
    too_large: 0,
    too_many: 0,
    unsupported: 0,
    unknown: 0,
    no_session: 0,
    closed: 0,
  };
}

/**
 * What one client CN did on this node since it started. Sessions of a CN come and go and share one of these, so that
 * a series never falls back to zero while the process lives.
 */
export class TunnelCounters {
  readonly up = new DirectionCounters();
  readonly down = new DirectionCounters();
  readonly channels: Readonly<Record<Direction, ChannelCounters>> = {
    up: new ChannelCounters(),
    down: new ChannelCounters(),
  };
  readonly queueDelay = new DelayHistogram();
  readonly frameErrors = new Map<FrameErrorKind, number>();
  /** Lanes dialled again after one broke or failed. Client only. */
  laneReconnects = 0;
  /** Times this node moved its lanes to another congestion control (`tcp.congestion: auto`). */
  congestionSwitches = 0;
  /** Datagrams that waited in the resequencer, and those released because `tcp.reorder_ms` was over. */
  resequencedPackets = 0;
  reorderTimeouts = 0;

  frameError(kind: FrameErrorKind): void {
    this.frameErrors.set(kind, (this.frameErrors.get(kind) ?? 0) + 1);
  }
}
