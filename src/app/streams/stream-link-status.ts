import type { StreamCounters } from "../../core/streams/counters.ts";
import type { StreamConnection } from "./stream-connection.ts";
import type { StreamLinkStatus } from "./stream-link.ts";

/** What either end of streams tells of itself. */
export function streamLinkStatus(counters: StreamCounters, connections: Iterable<StreamConnection>): StreamLinkStatus {
  let count = 0;
  let bufferedBytes = 0;
  for (const connection of connections) {
    count += 1;
    bufferedBytes += connection.waitingBytes;
  }
  const { connectionsOpened, connectionsLost, refused, faults, streams, streamsOpened, streamsEnded } = counters;
  const { bytesIn, bytesOut, datagramsIn, datagramsOut, datagramsDropped } = counters;
  return {
    connections: count,
    ...{ connectionsOpened, connectionsLost, refused, faults, streams, streamsOpened },
    streamsEnded: { ...streamsEnded },
    ...{ bytesIn, bytesOut, datagramsIn, datagramsOut, datagramsDropped, bufferedBytes },
  };
}
