import type { StreamEndType } from "../streams/counters.ts";
import type { SocksKind } from "./socks-counters.ts";

/** What one end of `ut socks` tells of itself: the proxy (role socks) or the exit (role agent). A snapshot. */
export interface SocksStatus {
  /** Connections and associations now, and since the start. */
  readonly open: Readonly<Record<SocksKind, number>>;
  readonly opened: Readonly<Record<SocksKind, number>>;
  /** Payload; `up` is from the program to the destination. */
  readonly bytes: { readonly up: number; readonly down: number };
  readonly datagrams: { readonly up: number; readonly down: number };
  readonly refused: Readonly<Record<string, number>>;
  readonly link: SocksLinkStatus;
}

/** The QUIC connections between the two ends. */
export interface SocksLinkStatus {
  readonly connections: number;
  readonly connectionsOpened: number;
  /** Ended although nobody wanted it. */
  readonly connectionsLost: number;
  /** Those that did not come about, by why. */
  readonly refused: Readonly<Record<string, number>>;
  readonly streams: number;
  /** By how they ended: as both ends wanted, given up by one, broken. */
  readonly streamsEnded: Readonly<Record<StreamEndType, number>>;
  /** Streams that the other end lost as it did not keep to the protocol, by what it did. */
  readonly faults: Readonly<Record<string, number>>;
  /** Bytes that came in and wait for whoever reads them. */
  readonly bufferedBytes: number;
  /** Why there is no connection to the agent; null where there is one, and at the agent. */
  readonly problem: string | null;
}
