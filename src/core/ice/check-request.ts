import type { RandomBytes } from "../machine.ts";
import { type Integrity, shortTermKey } from "../stun/integrity.ts";
import { STUN_TIMING, StunTransaction } from "../stun/transaction.ts";
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
/** The wait after a check's last request, in first waits: ICE is over long before. */
const LAST_WAIT = 2;

/** A connectivity check of a pair (RFC 8445 §7.2): a Binding request that only the peer can answer. */
export function checkRequest(
  now: Instant,
  { random, role, local, remote }: CheckParties,
  pair: CandidatePair,
  options: { readonly nominates?: boolean; readonly rtoMs?: number } = {},
): StunTransaction {
  const { nominates = false, rtoMs = MIN_RTO_MS } = options;
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
    timing: { ...STUN_TIMING, rtoMs, lastWait: LAST_WAIT },
  });
}

/** What a message is protected with that `of` has to accept, or has sent. ICE leaves no choice of algorithm. */
export function iceIntegrity({ pwd }: IceCredentials): Integrity {
  return { key: shortTermKey(pwd), algorithm: "sha1" };
}
