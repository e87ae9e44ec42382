import type { PeerRole } from "../../config/roles.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { NodeIdentity } from "../role.ts";
import type { Uplink } from "../tunnel/uplink.ts";
import type { PeerPlane } from "./peer-plane.ts";

/** What the roles that are ends of pipes tell of themselves, and of the lanes if nobody else in the process does. */
export function peerStatus(
  role: PeerRole,
  identity: NodeIdentity,
  plane: PeerPlane,
  listen: string,
  uplink: Uplink | undefined,
): NodeStatus {
  const { problem } = plane;
  return {
    role,
    cn: identity.cn,
    certificateNotAfter: identity.notAfter.toISOString(),
    ready: problem === undefined,
    notReadyReason: problem,
    listen,
    sessions: uplink?.status("") ?? [],
    servers: uplink?.servers.status(),
    clients: uplink === undefined ? new Map() : new Map([[identity.cn, uplink.counters]]),
    tlsHandshakeFailures: uplink?.handshakeFailures ?? new Map(),
    stun: undefined,
  };
}
