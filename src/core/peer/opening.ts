import type { Candidate, LocalCandidate } from "../ice/candidate.ts";
import type { RandomBytes, Transmit } from "../machine.ts";
import { ipFamily } from "../net/ip.ts";
import { BINDING, encodeStun } from "../stun/message.ts";

/**
 * How long after the common start each end's checks begin. What comes earlier from the other end begins them as well, so
 * that the responder's, which wait longer, are answers as a rule.
 */
export const CHECKS_AFTER_MS = { initiator: 20, responder: 250 } as const;
/** Past our own NAT and not as far as the other one. */
const OPENING_TTL = 2;
const MAX_OPENINGS = 8;

/**
 * What opens the responder's NAT before the initiator knows where to send to: a router that takes an early packet to
 * itself gives what we send there another port from then on, which the other end's NAT does not let in. It does not get
 * as far as that one, which may be such a router, too; the initiator's is open by its first check. A Binding indication
 * (RFC 8489 §2), to which nobody has to answer, from each socket to each reflexive address.
 */
export function openings(
  random: RandomBytes,
  own: readonly LocalCandidate[],
  remotes: readonly Candidate[],
): Transmit[] {
  const transactionId = random(12).toHex();
  const payload = encodeStun({ class: "indication", method: BINDING, transactionId, attributes: {} });
  const bases = new Map(own.map(({ socket, base }) => [socket, base]));
  const all = remotes
    .filter(({ type }) => type === "srflx")
    .flatMap(({ endpoint: to }) =>
      [...bases]
        .filter(([, base]) => ipFamily(base.address) === ipFamily(to.address))
        .map(([socket]) => ({ socket, to, payload, ttl: OPENING_TTL })),
    );
  return all.slice(0, MAX_OPENINGS);
}
