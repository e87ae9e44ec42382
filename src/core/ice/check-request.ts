import type { RandomBytes } from "../machine.ts";
import { type Integrity, shortTermKey } from "../stun/integrity.ts";
import { type StunTiming, StunTransaction } from "../stun/transaction.ts";
import type { Instant } from "../time.ts";
import { peerReflexivePriority } from "./candidate.ts";
import type { CandidatePair } from "./checklist.ts";
import type { IceCredentials } from "./credentials.ts";
import type { Role } from "./role.ts";

/** Who checks whom. */
export interface CheckParties {
  readonly random: RandomBytes;
  readonly role: Role;
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
}

/** RFC 8445 §14.3: the first wait of a check is no shorter. */
export const MIN_RTO_MS = 500;

/**
 * When a check is sent again. `patient`: in waits that double, as the peer may begin seconds later, and what may be sent
 * to an address that is silent is little. `steady`: from there something has come, so only loss can be in the way.
 */
const TIMINGS = {
  patient: { rtoMs: MIN_RTO_MS, sends: 7, lastWait: 2 },
  /** To the end of ICE. */
  steady: { rtoMs: MIN_RTO_MS, growth: 1, sends: 20, lastWait: 2 },
} as const satisfies Record<string, StunTiming>;

export interface CheckOptions {
  readonly nominates?: boolean;
  /** `patient` unless told. */
  readonly timing?: keyof typeof TIMINGS;
  readonly rtoMs?: number;
}

/** A connectivity check of a pair (RFC 8445 §7.2): a Binding request that only the peer can answer. */
export function checkRequest(
  now: Instant,
  { random, role, local, remote }: CheckParties,
  pair: CandidatePair,
  { nominates = false, timing = "patient", rtoMs = MIN_RTO_MS }: CheckOptions = {},
): StunTransaction {
  return new StunTransaction({
    now,
    to: pair.remote.endpoint,
    transactionId: random(12).toHex(),
    socket: pair.local.socket,
    attributes: {
      username: `${remote.ufrag}:${local.ufrag}`,
      priority: peerReflexivePriority(pair.local),
      ...role.attributes,
      ...(nominates ? { useCandidate: true } : {}),
    },
    encode: { integrity: iceIntegrity(remote), fingerprint: true },
    timing: { ...TIMINGS[timing], rtoMs },
  });
}

/** What a message is protected with that `of` has to accept, or has sent. ICE leaves no choice of algorithm. */
export function iceIntegrity({ pwd }: IceCredentials): Integrity {
  return { key: shortTermKey(pwd), algorithm: "sha1" };
}
