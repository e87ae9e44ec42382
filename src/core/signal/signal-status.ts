import type { MemberStatus } from "./hub.ts";
import type { HubCounters } from "./hub-counters.ts";

/** The server's side of all control connections: a snapshot for `/api/status` and `/metrics`. */
export interface SignalStatus {
  readonly connections: number;
  /** Pipes between two peers, offered and open. */
  readonly pipes: number;
  /** `open_p2p` without an outcome yet. */
  readonly pendingOpens: number;
  readonly members: readonly MemberStatus[];
  readonly counters: HubCounters;
  /** How going direct ended, in the words of each end. */
  readonly results: Readonly<Record<"ice" | "hardnat" | "none", number>>;
}
