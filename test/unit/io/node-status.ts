import { TunnelCounters } from "../../../src/core/tunnel/counters.ts";
import type { LaneStatus, NodeStatus, SessionStatus } from "../../../src/core/tunnel/status.ts";

/** A server without clients; tests name what matters to them. */
export function nodeStatus(some: Partial<NodeStatus> = {}): NodeStatus {
  return {
    role: "server",
    cn: "gate",
    certificateNotAfter: "2030-01-01T00:00:00.000Z",
    ready: true,
    notReadyReason: undefined,
    listen: "127.0.0.1:5443",
    sessions: [],
    clients: new Map(),
    tlsHandshakeFailures: new Map(),
    ...some,
  };
}

export function sessionStatus(some: Partial<SessionStatus> = {}): SessionStatus {
  return {
    clientCn: "home",
    sessionId: "6a0c2b1e-0000-4000-8000-000000000001",
    udp: "127.0.0.1:40000",
    caps: ["seq"],
    congestion: "bbr",
    queue: { packets: 7, bytes: 8400, oldestMs: 1.5 },
    held: { packets: 2, bytes: 2400 },
    idleMs: 12,
    lanes: [laneStatus({ id: 0 }), laneStatus({ id: 1, state: "dialing", tcp: undefined })],
    ...some,
  };
}

export function laneStatus(some: Partial<LaneStatus> = {}): LaneStatus {
  return {
    id: 0,
    state: "open",
    remote: "192.0.2.7:41000",
    bytesIn: 1000,
    bytesOut: 2000,
    packetsIn: 10,
    packetsOut: 20,
    tcp: {
      congestion: "bbr",
      rttMs: 21.5,
      minRttMs: 20,
      unsentBytes: 0,
      retransmits: 3,
      deliveryRateBitsPerSecond: 1e8,
    },
    ...some,
  };
}

/** Counters in which every number that is not zero differs from all others. */
export function busyCounters(): TunnelCounters {
  const counters = new TunnelCounters();
  Object.assign(counters.up, { inPackets: 101, inBytes: 1010, outPackets: 102, outBytes: 1020 });
  Object.assign(counters.down, { inPackets: 201, inBytes: 2010, outPackets: 202, outBytes: 2020 });
  counters.up.drops.oldest = 3;
  counters.down.drops.lane_lost = 4;
  for (const delayMs of [0.25, 0.5, 3, 400, 10_000]) counters.queueDelay.observe(delayMs);
  counters.frameError("bad_magic");
  counters.frameError("bad_magic");
  counters.laneReconnects = 5;
  counters.congestionSwitches = 6;
  counters.resequencedPackets = 8;
  counters.reorderTimeouts = 7;
  return counters;
}
