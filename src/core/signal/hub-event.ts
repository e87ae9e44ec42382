import type { SignalInput } from "../wire/signal.ts";

/** A control connection, by a number that its shell chose. */
export type ConnectionId = number;

/** Who is at the end of a control connection: its CN, verified by TLS, and its `session_id`, that of its lanes too. */
export interface Attendee {
  readonly cn: string;
  readonly sessionId: string;
}

/** One end of a pipe; `channel` is its number towards this end, on the control connection and on the lanes. */
export interface PipeEnd extends Attendee {
  readonly channel: number;
}

/**
 * Why a control connection has to go: say `goodbye{reason}` on it and close it.
 * - `replaced`: another process registered under its CN. It is to stay away for a minute.
 * - `reconnected`: the same process has a newer connection.
 * - `too-many`: its CN has more connections than it may have, and this one was silent longest.
 * - `dead`: nothing was heard of it for too long. `slow-reader`: it does not read what it is sent.
 * - `flood`: it says more than it may.
 */
export type EvictReason = "replaced" | "reconnected" | "too-many" | "dead" | "slow-reader" | "flood";

export type HubEvent =
  | { readonly type: "evict"; readonly id: ConnectionId; readonly attendee: Attendee; readonly reason: EvictReason }
  /** To be found under its CN from now on. */
  | { readonly type: "registered"; readonly attendee: Attendee; readonly node: string }
  /** Datagrams are to be carried between both ends. The initiator's first. */
  | { readonly type: "opened"; readonly ends: readonly [PipeEnd, PipeEnd]; readonly service: string }
  /** And no longer. Told of opened pipes only. */
  | { readonly type: "closed"; readonly ends: readonly [PipeEnd, PipeEnd]; readonly reason: string }
  /** A request that came to nothing. `by: target`: in the target's own words. */
  | {
      readonly type: "failed";
      readonly from: string;
      readonly to: string;
      readonly reason: string;
      readonly by: "server" | "target";
    }
  /** How going direct ended, in the words of one end; nothing is believed for it. */
  | {
      readonly type: "result";
      readonly from: string;
      readonly peer: string;
      readonly winner: "ice" | "hardnat" | "none";
      readonly elapsedMs: number;
      readonly cause: string;
    };

/** What is to be sent, on which connection. */
export interface HubMessage {
  readonly to: ConnectionId;
  readonly signal: SignalInput;
}
