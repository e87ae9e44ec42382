import type { SignalStatus } from "../signal/signal-status.ts";
import type { SocksStatus } from "../socks/socks-status.ts";
import type { StunServerCounters } from "../stun/server.ts";
import type { TunnelCounters } from "./counters.ts";
import type { MoveReason } from "./server-choice.ts";

/**
 * What a node tells of itself: read by `/api/status`, `/metrics`, `/readyz`, `ut status` and the drain's last log line.
 * A snapshot, made when asked for; nothing on the hot path keeps it up to date.
 */
export interface NodeStatus {
  readonly role: "client" | "server" | "agent" | "relay" | "socks";
  /** CN of this node's own certificate, and when it ends (ISO 8601). */
  readonly cn: string;
  readonly certificateNotAfter: string;
  /**
   * A server is ready when it listens; a client when its UDP port is bound and its last dial did not fail; agent and
   * relay while they have a control connection.
   */
  readonly ready: boolean;
  /** Why not, for a person. */
  readonly notReadyReason: string | undefined;
  readonly listen: string;
  readonly sessions: readonly SessionStatus[];
  /** Of a node that goes to servers; of several such roles in one process the first tells of it. */
  readonly servers?: ServersStatus | undefined;
  /** By client CN, for as long as the process lives, also when no session is left. */
  readonly clients: ReadonlyMap<string, TunnelCounters>;
  /** Refused handshakes by reason, and what this node took for successful ones. */
  readonly tlsHandshakeFailures: ReadonlyMap<string, number>;
  /** The server's own STUN; undefined where it is off, or none of its addresses could be had. */
  readonly stun: StunStatus | undefined;
  /** The server's control connections; absent where it brings no peers together (`server.peers: false`). */
  readonly signals?: SignalStatus | undefined;
  /** The proxy of a socks role, the exit of an agent that has one. */
  readonly socks?: SocksStatus | undefined;
}

/** A client's servers, by `host:port`, and how often it moved to another one and back. */
export interface ServersStatus {
  readonly addresses: readonly string[];
  /** The place of the one in use; 0 is the first. */
  readonly current: number;
  readonly moves: Readonly<Record<MoveReason, number>>;
}

export interface StunStatus {
  /** Bound addresses and ports. */
  readonly listen: readonly string[];
  readonly counters: StunServerCounters;
}

export interface SessionStatus {
  readonly clientCn: string;
  readonly sessionId: string;
  /** Local UDP address of the session: the client's listener, or the server's socket towards WireGuard. */
  readonly udp: string;
  /** Capabilities agreed, empty before the first hello_ack and with a peer that speaks only DATA. */
  readonly caps: readonly string[];
  readonly congestion: string;
  readonly queue: { readonly packets: number; readonly bytes: number; readonly oldestMs: number };
  /** Datagrams of pipes between peers that wait for a lane. */
  readonly channels: { readonly packets: number; readonly bytes: number };
  /** Datagrams that wait in the resequencer for an earlier one. */
  readonly held: { readonly packets: number; readonly bytes: number };
  readonly idleMs: number;
  readonly lanes: readonly LaneStatus[];
  /** Numbers that no connection stands for now: a client's all, a server's those that one stood for. */
  readonly downLanes: readonly DownLane[];
}

export interface LaneStatus {
  readonly id: number;
  readonly state: "dialing" | "open" | "closing" | "waiting" | "idle";
  readonly remote: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** How long it has been open. */
  readonly openMs: number;
  /** It waits for an acknowledgement that is late, and is given nothing meanwhile. */
  readonly stalled: boolean;
  /** How the connection before it ended. */
  readonly ended: LaneEnd | null;
  /** From TCP_INFO, where the system has it. */
  readonly tcp: TcpStatus | undefined;
}

export interface DownLane {
  readonly id: number;
  /** `idle`: nothing wants to go, so nobody has dialled it or both ends let it go. `closed`: lost, the other end dials. */
  readonly state: "dialing" | "waiting" | "idle" | "closed";
  readonly retryInMs: number | null;
  /** Null for one that has never been. */
  readonly ended: LaneEnd | null;
}

/** The last end of a connection or of a dial for a lane number, and how many there were. */
export interface LaneEnd {
  readonly times: number;
  readonly agoMs: number;
  /** Both ends said goodbye: nothing is wrong. */
  readonly isAgreed: boolean;
  /** For a person. */
  readonly reason: string;
}

export interface TcpStatus {
  readonly congestion: string;
  readonly rttMs: number;
  readonly minRttMs: number;
  readonly unsentBytes: number;
  readonly retransmits: number;
  readonly deliveryRateBitsPerSecond: number;
}
