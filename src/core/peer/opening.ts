import type { Candidate, LocalCandidate } from "../ice/candidate.ts";
import type { RandomBytes, Transmit } from "../machine.ts";
import { ipFamily } from "../net/ip.ts";
import { BINDING, encodeStun } from "../stun/message.ts";

/** The checks of ICE follow the openings so much later: the two ends are not told to begin at quite the same moment. */
export const OPENING_MS = 30;
/** Past our own NAT and not as far as the other one. */
const OPENING_TTL = 2;
const MAX_OPENINGS = 8;

/**
 * What opens our own NAT before the other end's checks reach it, and does not reach theirs: a router that takes an
 * early packet to itself gives what we send there another port from then on, which the other end's NAT does not let in.
 * A Binding indication (RFC 8489 §2), to which nobody has to answer, from each socket to each reflexive address.
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
