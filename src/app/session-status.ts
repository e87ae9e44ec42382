import type { Lane } from "../core/tunnel/lane.ts";
import type { Session } from "../core/tunnel/session.ts";
import type { SessionStatus } from "../core/tunnel/status.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import { laneStatus } from "./lane-tuner.ts";

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
      packets: session.queuedPackets,
      bytes: session.queue.bytes,
      oldestMs: session.queue.oldestMs(time),
    },
    held: {
      packets: session.resequencer?.heldPackets ?? 0,
      bytes: session.resequencer?.heldBytes ?? 0,
    },
    idleMs: time - session.lastDataAt,
    lanes: session.lanes.map((lane) => laneStatus(lane, transports.get(lane))),
  };
}
