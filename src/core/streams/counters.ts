import type { StreamFault } from "./frame.ts";

/** How a stream was over: as both ends wanted, given up by one, or broken. */
export type StreamEndType = "finished" | "reset" | "lost";

/** Plain numbers of one end's streams, read at scrape time. */
export class StreamCounters {
  connectionsOpened = 0;
  /** Ended without this end having wanted it. */
  connectionsLost = 0;
  readonly refused = new Map<string, number>();
  streams = 0;
  streamsOpened = 0;
  readonly streamsEnded: Record<StreamEndType, number> = { finished: 0, reset: 0, lost: 0 };
  /** Peers that did not keep to the protocol. Each lost its stream. */
  readonly faults = new Map<StreamFault, number>();
  /** Payload of streams. */
  bytesIn = 0;
  bytesOut = 0;
  datagramsIn = 0;
  datagramsOut = 0;
  datagramsDropped = 0;

  refuse(kind: string): void {
    this.refused.set(kind, (this.refused.get(kind) ?? 0) + 1);
  }

  fault(kind: StreamFault): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
}
