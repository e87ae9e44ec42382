import type { Candidate } from "../ice/candidate.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { PunchRole } from "../punch/probe.ts";
import type { SignedOffer } from "../wire/offer.ts";
import type { PeerInfo, PunchReject } from "../wire/signal.ts";

/** What `open` returns; never used twice by one process. */
export type RequestId = number;
/** The server's number of this end of a pipe, and the number of the pipe's channel on the lanes. */
export type Channel = number;

/**
 * What a `SignalClient` has to tell. None of it is proof of anything: the server may lie, and what two peers rest on is
 * signed or sealed by them. What does not fit what was asked (channels that are not ours, answers to no question) has
 * been counted and left out already.
 */
export type SignalClientEvent =
  /** Nothing was heard for too long: the connection is to be closed, and `disconnected` called. */
  | { readonly type: "lost" }
  /** Found under its CN from now on. */
  | { readonly type: "registered"; readonly leaseMs: number }
  /** For Binding requests to the server's STUN port, 0: it has none. Another one replaces it. */
  | { readonly type: "stun-credential"; readonly username: string; readonly password: string; readonly port: number }
  /** Somebody asks for a pipe: `accept` or `reject` within 10 s, or `closed` follows. */
  | {
      readonly type: "incoming";
      readonly channel: Channel;
      readonly from: string;
      readonly service: string;
      readonly offer: SignedOffer;
      readonly peer: PeerInfo;
    }
  /** Of `open`, with the answer: the end of that request. */
  | ({ readonly type: "opened"; readonly requestId: RequestId; readonly answer: SignedOffer } & OpenedPipe)
  /** Of `accept`. The initiator's datagrams may come earlier than this. */
  | ({ readonly type: "accepted" } & OpenedPipe)
  /** The end of a request. `by: target`: it does not want to, which a retry will not change. */
  | {
      readonly type: "failed";
      readonly requestId: RequestId;
      readonly reason: string;
      readonly by: "server" | "target";
    }
  | {
      readonly type: "candidates";
      readonly channel: Channel;
      readonly attempt: number;
      readonly candidates: readonly Candidate[];
      readonly last: boolean;
      /** What the other end knows of its network now. */
      readonly peer: PeerInfo;
    }
  /** Both ends have sent candidates of this attempt: begin `delayMs` from now, and so does the other end. */
  | {
      readonly type: "start-punching";
      readonly channel: Channel;
      readonly attempt: number;
      readonly delayMs: number;
    }
  /** Both have asked: begin `delayMs` from now. The end of `requestPunch`. */
  | {
      readonly type: "introduced";
      readonly channel: Channel;
      readonly attempt: number;
      readonly role: PunchRole;
      readonly peerReflex: Endpoint;
      readonly delayMs: number;
    }
  /** The end of `requestPunch`. */
  | {
      readonly type: "punch-rejected";
      readonly channel: Channel;
      readonly attempt: number;
      readonly reason: PunchReject;
    }
  /** The other end has begun to punch. */
  | { readonly type: "punch-acknowledged"; readonly channel: Channel; readonly attempt: number }
  /** The pipe is no more: the other end closed it or is gone, or the server has forgotten it (`unknown-channel`). */
  | { readonly type: "closed"; readonly channel: Channel; readonly reason: string }
  /** `packets` datagrams wait at the server for lanes of this session. */
  | { readonly type: "lanes-wanted"; readonly packets: number };

export interface OpenedPipe {
  readonly channel: Channel;
  readonly peer: PeerInfo;
  /** The server's to this end and to the other; null while it has not measured it. */
  readonly rttMs: number | null;
  readonly peerRttMs: number | null;
}
