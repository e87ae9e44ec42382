import type { Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";

/** From where to where on the direct path. `socket` is the caller's number for one of its sockets. */
export interface DirectAddress {
  readonly socket: number;
  readonly remote: Endpoint;
}

/** Where a sealed packet is to go, or came from. */
export type PipePath = "relay" | DirectAddress;

/**
 * Sealed packets that are to leave, gathered over one turn of the event loop, sent as batches and emptied by the owner.
 * `direct` may be shared by many pipes; all packets to one address carry the same object as `to`.
 */
export interface PipeOutput {
  readonly relay: Uint8Array[];
  readonly direct: Transmit[];
}

export function pushPacket(out: PipeOutput, path: PipePath, packet: Uint8Array): void {
  if (path === "relay") out.relay.push(packet);
  else out.direct.push({ socket: path.socket, to: path.remote, payload: packet });
}
