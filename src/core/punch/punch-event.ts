import type { Endpoint } from "../net/endpoint.ts";
import type { ProbeError } from "./probe.ts";

/** What a punching machine tells its owner, in this order: hits, then `confirmed` and `done`, or `failed` alone. */
export type PunchEvent =
  /** The first authentic packet of the other side at this socket. */
  | { readonly type: "hit"; readonly hit: PunchHit }
  /** Both directions of this pair are proven; every other socket may be closed, and the time to live is the usual one. */
  | { readonly type: "confirmed"; readonly hit: PunchHit }
  /** The other side knows it as well, as far as can be known: the machine wants nothing more. */
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly failure: PunchFailure };

export interface PunchHit {
  readonly socket: number;
  /** The other side, as seen from here. */
  readonly remote: Endpoint;
  /** Number of the nat3 side's packet that got through, from 1. */
  readonly packet: number;
  /** Which of the ports tried it was, from 1; only the nat3 side knows. */
  readonly ports?: number;
  /** Packets that this side had sent by then. */
  readonly sent: number;
  /** What the user at the other end wants to be told. A stranger's words unless the codec authenticates. */
  readonly content: string;
}

export interface PunchFailure {
  readonly verdict: PunchVerdict;
  /** How likely it was to find nothing, had the nat3 side a fixed port and the nat4 side a symmetric NAT; 0 to 1. */
  readonly missProbability: number;
  /** What this side sent in vain. */
  readonly packets: number;
}

/**
 * Why nothing was found by the deadline:
 * - `both-symmetric`: this end's or the other's port is known to change with the destination, so no port could fit
 * - `not-by-chance`: one would have been hit, were the nat3 side's port fixed and the other side there
 * - `by-chance`: too little was tried to say anything
 * - `wrong-token`: the other side was heard, but with another token, or one side has none
 * - `unconfirmed`: a probe got through, but the two ends could not settle on it
 */
export type PunchVerdict = "both-symmetric" | "not-by-chance" | "by-chance" | "wrong-token" | "unconfirmed";

/** Below this a miss is called no chance. */
const CHANCE = 1e-3;

export interface PunchEvidence {
  readonly missProbability: number;
  readonly packets: number;
  /** A pair of addresses was heard from. */
  readonly hit: boolean;
  readonly rejected: Readonly<Record<ProbeError, number>>;
  /** Of the nat3 side, if anybody measured it. */
  readonly portFixed: boolean | undefined;
}

export function judgeFailure({ missProbability, packets, hit, rejected, portFixed }: PunchEvidence): PunchFailure {
  return { verdict: verdict(), missProbability, packets };

  function verdict(): PunchVerdict {
    if (hit) return "unconfirmed";
    if (rejected["wrong-token"] + rejected["no-token"] + rejected["unasked-token"] > 0) return "wrong-token";
    if (portFixed === false) return "both-symmetric";
    return missProbability < CHANCE ? "not-by-chance" : "by-chance";
  }
}

export function noRejects(): Record<ProbeError, number> {
  return { foreign: 0, malformed: 0, "own-role": 0, "no-token": 0, "wrong-token": 0, "unasked-token": 0 };
}
