import { STREAM_FAULTS, type StreamFault } from "./frame.ts";

/**
 * Why a connection did not come about: TLS failed; the other end showed no certificate of our CA; it is not the peer that
 * the pipe is with; the peer has too many.
 */
export const LINK_REFUSALS = ["handshake", "bad_certificate", "wrong_cn", "no_room"] as const;
export type LinkRefusal = (typeof LINK_REFUSALS)[number];

/** How a stream was over: as both ends wanted, given up by one, or broken. */
export type StreamEndType = "finished" | "reset" | "lost";

/** Plain numbers of one end's streams, read at scrape time. */
export class StreamCounters {
  connectionsOpened = 0;
  /** Ended without this end having wanted it. */
  connectionsLost = 0;
  readonly refused = new Map<LinkRefusal, number>(LINK_REFUSALS.map((kind) => [kind, 0]));
  streams = 0;
  streamsOpened = 0;
  readonly streamsEnded: Record<StreamEndType, number> = { finished: 0, reset: 0, lost: 0 };
  /** Peers that did not keep to the protocol. Each lost its stream. */
  readonly faults = new Map<StreamFault, number>(STREAM_FAULTS.map((kind) => [kind, 0]));
  /** Payload of streams. */
  bytesIn = 0;
  bytesOut = 0;
  datagramsIn = 0;
  datagramsOut = 0;
  datagramsDropped = 0;

  refuse(kind: LinkRefusal): void {
    this.refused.set(kind, (this.refused.get(kind) ?? 0) + 1);
  }

  fault(kind: StreamFault): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
}
