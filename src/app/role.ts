import type { NodeStatus } from "../core/tunnel/status.ts";
import type { LaneTransport } from "../io/lanes/lane-transport.ts";
import type { Resolve } from "../io/lanes/tls-dial.ts";
import type { TlsIdentity } from "../io/lanes/tls-lane.ts";
import type { Log } from "../io/log/log.ts";

/** This node's certificate, loaded and checked. */
export interface NodeIdentity extends TlsIdentity {
  readonly cn: string;
  readonly notAfter: Date;
}

/** What every role gets from the process around it. */
export interface RoleContext {
  readonly log: Log;
  /** Program and version, for the other side's log. */
  readonly node: string;
  /** A TLS handshake succeeded; `transport` knows with whom. */
  handshakeDone(clientCn: string, ms: number, transport: LaneTransport): void;
  /** How the client finds the server's addresses; the system's resolver unless given. */
  readonly resolve?: Resolve;
}

/** A running role. Disposal ends it at once; `drain` before it loses nothing that was accepted. */
export interface Role extends AsyncDisposable {
  status(): NodeStatus;
  /** Tell peers that this role goes, while there are still pipes to them. */
  leave?(): Promise<void>;
  /** Send what waits, say GOODBYE, wait for the peers; `deadline` cuts it short. */
  drain(deadline: AbortSignal): Promise<void>;
  /** The client's UDP port, or the server's TCP port; the port that was really bound. */
  readonly port: number;
}
