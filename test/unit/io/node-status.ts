import type { CertificateStatus } from "../../../src/core/certificate-status.ts";
import type { NatReport } from "../../../src/core/nat/nat-report.ts";
import { TraversalStats } from "../../../src/core/nat/traversal-stats.ts";
import type { NetworkStatus, TraversalStatus } from "../../../src/core/nat/traversal-status.ts";
import type { PipeExplanation } from "../../../src/core/peer/trace.ts";
import type { SocksStatus } from "../../../src/core/socks/socks-status.ts";
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
    stun: undefined,
    ...some,
  };
}

/** An end of `ut socks` at which each of these was refused once. */
export function socksStatusOf(refusals: readonly string[]): SocksStatus {
  return {
    open: { connect: 2, udp: 1 },
    opened: { connect: 20, udp: 3 },
    bytes: { up: 1_000, down: 50_000 },
    datagrams: { up: 7, down: 6 },
    refused: Object.fromEntries(refusals.map((refusal) => [refusal, 1])),
    link: {
      ...{ connections: 2, connectionsOpened: 3, connectionsLost: 1, streams: 3, bufferedBytes: 4_096, problem: null },
      refused: { wrong_cn: 1 },
      streamsEnded: { finished: 5, reset: 2, lost: 1 },
      faults: { over_credit: 1 },
    },
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
    channels: { packets: 3, bytes: 3600 },
    held: { packets: 2, bytes: 2400 },
    idleMs: 12,
    lanes: [laneStatus({ id: 0 }), laneStatus({ id: 1, state: "dialing", tcp: undefined })],
    downLanes: [
      {
        id: 2,
        state: "waiting",
        retryInMs: 2_500,
        ended: { times: 3, agoMs: 4_000, isAgreed: false, reason: "connection refused" },
      },
    ],
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
    openMs: 60_000,
    stalled: false,
    ended: null,
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

export function certificateStatus(some: Partial<CertificateStatus> = {}): CertificateStatus {
  return {
    own: {
      cn: "gate",
      notBefore: "2025-01-01T00:00:00.000Z",
      notAfter: "2030-01-01T00:00:00.000Z",
      fingerprint: "AA:BB",
    },
    authority: { notAfter: "2035-01-01T00:00:00.000Z" },
    peers: [{ cn: "home", notAfter: "2029-01-01T00:00:00.000Z", seenAt: "2026-01-31T12:00:00.000Z" }],
    ...some,
  };
}

/** Counters in which every number that is not zero differs from all others. */
export function busyCounters(): TunnelCounters {
  const counters = new TunnelCounters();
  Object.assign(counters.up, { inPackets: 101, inBytes: 1010, outPackets: 102, outBytes: 1020 });
  Object.assign(counters.down, { inPackets: 201, inBytes: 2010, outPackets: 202, outBytes: 2020 });
  Object.assign(counters.channels.up, { inPackets: 301, inBytes: 3010, outPackets: 302, outBytes: 3020 });
  Object.assign(counters.channels.down, { inPackets: 401, inBytes: 4010, outPackets: 402, outBytes: 4020 });
  counters.up.drops.oldest = 3;
  counters.down.drops.lane_lost = 4;
  counters.channels.up.drops.unknown = 9;
  counters.channels.down.drops.stale = 10;
  for (const delayMs of [0.25, 0.5, 3, 400, 10_000]) counters.queueDelay.observe(delayMs);
  counters.frameError("bad_magic");
  counters.frameError("bad_magic");
  counters.laneReconnects = 5;
  counters.congestionSwitches = 6;
  counters.resequencedPackets = 8;
  counters.reorderTimeouts = 7;
  return counters;
}

/** A process that has done nothing directly; what it knows of its network if `network` says so. */
export function traversalStatus(some: Partial<TraversalStatus> = {}): TraversalStatus {
  return {
    stats: new TraversalStats().snapshot(),
    network: null,
    pipes: [],
    plane: null,
    ...some,
  };
}

/** One end of an open pipe that has not tried to go direct yet. */
export function pipeExplanation(some: Partial<PipeExplanation> = {}): PipeExplanation {
  return {
    pipe: 1,
    peer: "office",
    service: "wireguard",
    role: "initiator",
    state: "open",
    route: "relay",
    direct: null,
    relayRttMs: 12.5,
    directRttMs: null,
    mode: "off",
    ownNat: { type: "cone", filtering: "address-and-port-dependent" },
    peerNat: null,
    peerReflex: null,
    attempts: [],
    retryInMs: null,
    verdict: "",
    counters: null,
    ...some,
  };
}

/** Behind a port-restricted cone, with a mapping that was seen to work. */
export function networkStatus(some: Partial<NetworkStatus> = {}): NetworkStatus {
  const external = { address: "203.0.113.7", port: 40_000 };
  return {
    listen6: null,
    listen: { address: "0.0.0.0", port: 40_000 },
    nat: coneReport,
    checkedAt: "2026-01-31T12:00:00.000Z",
    checks: 9,
    changes: 2,
    reflex: { endpoint: external, source: "port-mapping", agreeing: 1, dissenting: 0 },
    portMapping: { protocol: "pcp", external, verified: true },
    ...some,
  };
}

const coneReport: NatReport = {
  type: "cone",
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  mapped: { address: "203.0.113.7", port: 40_000 },
  translated: true,
  ports: { kind: "preserved" },
  pooling: "paired",
  hairpin: false,
  layers: "one",
  reasons: [],
  servers: [
    {
      name: "ut.example.com:3478",
      endpoint: { address: "198.51.100.1", port: 3478 },
      outcome: { kind: "answered", mapped: { address: "203.0.113.7", port: 40_000 }, rttMs: 12.5 },
      otherAddress: null,
    },
  ],
  elapsedMs: 640,
};
