import type { SocksCounters } from "../../core/socks/socks-counters.ts";
import type { SocksStatus } from "../../core/socks/socks-status.ts";
import type { StreamLinkStatus } from "../streams/stream-link.ts";

/** What either end of `ut socks` tells of itself. `problem`: why no stream can be had now. */
export function socksStatus(
  counters: SocksCounters<string>,
  link: StreamLinkStatus,
  problem: string | null = null,
): SocksStatus {
  const { open, opened, bytes, datagrams, refused } = counters;
  const { connections, connectionsOpened, connectionsLost, streams, streamsEnded, bufferedBytes } = link;
  return {
    open: { ...open },
    opened: { ...opened },
    bytes: { ...bytes },
    datagrams: { ...datagrams },
    refused: Object.fromEntries(refused),
    link: {
      ...{ connections, connectionsOpened, connectionsLost, streams, streamsEnded, bufferedBytes, problem },
      refused: Object.fromEntries(link.refused),
      faults: Object.fromEntries(link.faults),
    },
  };
}
