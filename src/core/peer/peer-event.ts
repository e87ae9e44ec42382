import type { DirectWay } from "../nat/direct-way.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Route } from "../pipe/path-choice.ts";
import type { PunchRole } from "../punch/probe.ts";
import type { HardNatMode } from "./peer-options.ts";

/** This process's number of a pipe. The initiator keeps it while the pipe is opened again. */
export type PipeId = number;

/** Why the server brought no pipe about: error kinds of the direct plane. */
export type RefusalKind = "peer-not-reachable" | "transport" | "rendezvous-rejected";

export type PeerEvent =
  /** Datagrams flow, over the relay first. The responder hears of it with the initiator's first authentic packet. */
  | {
      readonly type: "opened";
      readonly pipe: PipeId;
      readonly peer: string;
      readonly service: string;
      readonly role: "initiator" | "responder";
    }
  /** The initiator's alone: it could not be opened, or was lost, and is tried again by itself. */
  | {
      readonly type: "waiting";
      readonly pipe: PipeId;
      readonly reason: string;
      /** Which kind of failure of the server's part that is; null: it is none. */
      readonly kind: RefusalKind | null;
      readonly retryInMs: number;
    }
  /** An error of this program inside of the pipe, which ends for it. */
  | { readonly type: "fault"; readonly pipe: PipeId; readonly error: unknown }
  /** Gone for good; nothing more comes of this number. */
  | { readonly type: "closed"; readonly pipe: PipeId; readonly reason: string }
  /** Somebody asked for a pipe and did not get it. `from` is who they say they are, unless it is `not-authorised`. */
  | { readonly type: "refused"; readonly from: string; readonly service: string; readonly reason: string }
  | { readonly type: "direct-up"; readonly pipe: PipeId; readonly path: DirectPath }
  | { readonly type: "direct-down"; readonly pipe: PipeId }
  /** Datagrams leave by another path from now on. */
  | { readonly type: "route"; readonly pipe: PipeId; readonly route: Route }
  | {
      readonly type: "attempt-started";
      readonly pipe: PipeId;
      readonly attempt: number;
      readonly mode: HardNatMode;
    }
  | { readonly type: "attempt-ended"; readonly pipe: PipeId; readonly report: AttemptReport }
  /** The server holds datagrams for this process, which has no lanes open. */
  | { readonly type: "lanes-wanted" }
  /** Nothing was heard on the control connection for too long: close it, call `controlLost`, dial again. */
  | { readonly type: "control-dead" };

/** What `P2pUdpConn` is made of: which socket sends where, and how it was won. */
export interface DirectPath {
  readonly socket: number;
  readonly remote: Endpoint;
  readonly rttMs: number;
  readonly meta: DirectMeta;
}

export interface DirectMeta {
  /** `peer`: an address that the other side moved to by itself, its NAT having changed it. */
  readonly winner: "ice" | "hardnat" | "peer";
  /** Since the attempt was started; 0 for `peer`. */
  readonly elapsedMs: number;
  readonly mode: HardNatMode;
  /** Of hard-NAT. */
  readonly role: PunchRole | null;
}

/** How one attempt to go direct ended. Causes are null for what was not tried, or did not fail. */
export interface AttemptReport {
  readonly attempt: number;
  readonly mode: HardNatMode;
  readonly way: DirectWay | "unknown";
  readonly role: PunchRole | null;
  readonly winner: "ice" | "hardnat" | null;
  readonly elapsedMs: number;
  readonly iceCause: string | null;
  readonly hardNatCause: string | null;
  /** Why the pipe stays on the relay; `direct` when it does not. */
  readonly verdict: string;
  /** The server brought both ends together. */
  readonly wasMediated: boolean;
  /** Hard-NAT was begun, because ICE had failed or beside it. */
  readonly enteredHardNat: boolean;
  /** Sent by hard-NAT. */
  readonly packets: number;
}

/** Verdicts of attempts that were ended from outside: they say nothing about the next one, nor where traffic goes now. */
export const CANCELLED_VERDICTS: ReadonlySet<string> = new Set(["closed", "superseded", "network-changed", "direct"]);

/** A sealed packet for, or from, the relay path. */
export interface ChannelDatagram {
  readonly channel: number;
  readonly packet: Uint8Array;
}

export interface FlowDatagram {
  readonly pipe: PipeId;
  readonly flow: number;
  readonly payload: Uint8Array;
}

/**
 * Sockets beyond the shared ones. `open`: `count` of them, each on any port, numbered from `first`; then
 * `Peer.socketsOpened`, with however many could be opened. `close`: those numbers, but not `keep`; it may come while
 * they are still being opened.
 */
export type SocketRequest =
  | { readonly type: "open"; readonly first: number; readonly count: number }
  | { readonly type: "close"; readonly first: number; readonly count: number; readonly keep?: number };
