import type { Lane } from "../core/tunnel/lane.ts";
import type { Session } from "../core/tunnel/session.ts";
import type { LaneStatus, SessionStatus, TcpStatus } from "../core/tunnel/status.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import { getCongestionControl, tcpInfo } from "../io/sockopt.ts";

/** What stands in a session's status beside what the session itself knows. */
export interface SessionSurroundings {
  /** Address of the session's local UDP side. */
  readonly udp: string;
  readonly congestion: string;
  readonly transports: ReadonlyMap<Lane, LaneTransport>;
}

/** A snapshot for `/api/status`, the metrics and `ut status`. */
export function sessionStatus(session: Session, { udp, congestion, transports }: SessionSurroundings): SessionStatus {
  const time = now();
  return {
    clientCn: session.clientCn,
    sessionId: session.sessionId,
    udp,
    caps: session.caps ?? [],
    congestion,
    queue: {
      packets: session.queuedPackets - session.queuedChannelPackets,
      bytes: session.queue.bytes,
      oldestMs: session.queue.oldestMs(time),
    },
    channels: { packets: session.queuedChannelPackets, bytes: session.channels.bytes },
    held: {
      packets: session.resequencer?.heldPackets ?? 0,
      bytes: session.resequencer?.heldBytes ?? 0,
    },
    idleMs: time - session.lastDataAt,
    lanes: session.lanes.map((lane) => laneStatus(lane, transports.get(lane))),
  };
}

function laneStatus(lane: Lane, transport: LaneTransport | undefined): LaneStatus {
  return {
    id: lane.id,
    state: lane.saidGoodbye || lane.heardGoodbye ? "closing" : "open",
    remote: transport?.remote ?? "",
    bytesIn: lane.bytesIn,
    bytesOut: lane.bytesOut,
    packetsIn: lane.packetsIn,
    packetsOut: lane.packetsOut,
    tcp: transport?.fd === undefined ? undefined : tcpStatus(transport.fd),
  };
}

function tcpStatus(fd: number): TcpStatus | undefined {
  const info = tcpInfo(fd);
  return (
    info && {
      congestion: getCongestionControl(fd) ?? "unknown",
      rttMs: info.rttMs,
      minRttMs: info.minRttMs,
      unsentBytes: info.unsentBytes,
      retransmits: info.totalRetransmits,
      deliveryRateBitsPerSecond: info.deliveryRate * 8,
    }
  );
}
