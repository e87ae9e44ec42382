import type { Instant } from "../../core/time.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { LaneSlot } from "../../core/tunnel/lane-pool.ts";
import type { Session } from "../../core/tunnel/session.ts";
import type { DownLane, LaneStatus, SessionStatus, TcpStatus } from "../../core/tunnel/status.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import { getCongestionControl, tcpInfo } from "../../io/system/sockopt.ts";
import type { LaneRecords } from "./lane-records.ts";

/** What stands in a session's status beside what the session itself knows. */
export interface SessionSurroundings {
  /** Address of the session's local UDP side. */
  readonly udp: string;
  readonly congestion: string;
  readonly transports: ReadonlyMap<Lane, LaneTransport>;
  readonly records: LaneRecords;
  /** Where this end dials. */
  readonly slots: readonly LaneSlot[] | undefined;
}

/** A snapshot for `/api/status`, the metrics and `ut status`. */
export function sessionStatus(session: Session, surroundings: SessionSurroundings): SessionStatus {
  const { udp, congestion, transports, records } = surroundings;
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
    lanes: session.lanes.map((lane) => laneStatus(time, lane, transports.get(lane), records)),
    downLanes: downLanes(time, session, surroundings),
  };
}

function downLanes(time: Instant, session: Session, { records, slots }: SessionSurroundings): DownLane[] {
  const open = new Set(session.lanes.map((lane) => lane.id));
  const ids = slots === undefined ? records.ids : slots.keys();
  return [...ids]
    .filter((id) => !open.has(id))
    .map((id) => {
      const ended = records.endOf(id, time);
      const state = downState(slots?.[id], ended?.isAgreed === true);
      return { id, state, retryInMs: slots?.[id]?.retryInMs ?? null, ended };
    });
}

function downState(slot: LaneSlot | undefined, isAgreed: boolean): DownLane["state"] {
  switch (slot?.state) {
    case "dialing":
    case "waiting":
    case "idle":
      return slot.state;
    default:
      return isAgreed ? "idle" : "closed";
  }
}

function laneStatus(time: Instant, lane: Lane, transport: LaneTransport | undefined, records: LaneRecords): LaneStatus {
  return {
    id: lane.id,
    state: lane.saidGoodbye || lane.heardGoodbye ? "closing" : "open",
    remote: transport?.remote ?? "",
    bytesIn: lane.bytesIn,
    bytesOut: lane.bytesOut,
    packetsIn: lane.packetsIn,
    packetsOut: lane.packetsOut,
    openMs: records.ageOf(lane, time),
    stalled: lane.stalled,
    ended: records.endOf(lane.id, time),
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
