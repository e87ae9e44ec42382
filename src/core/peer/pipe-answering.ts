import { createIceCredentials } from "../ice/credentials.ts";
import { answerOffer, readOffer } from "../pipe/handshake.ts";
import type { SignalClientEvent } from "../signal/client-event.ts";
import type { Instant } from "../time.ts";
import { agreeHardNat, hardNatWishes } from "./hard-nat-plan.ts";
import type { PipeId } from "./peer-event.ts";
import { PeerPipe } from "./peer-pipe.ts";
import type { PeerShared } from "./peer-shared.ts";

type Incoming = Extract<SignalClientEvent, { type: "incoming" }>;

/**
 * The responder's side of an offer: whoever signed it must be allowed the service that it names, and nothing that the
 * server says about it counts. The pipe that comes of it is nobody's yet: only with a packet under its keys has the
 * initiator shown that the offer is a fresh one.
 */
export function answerIncoming(
  now: Instant,
  shared: PeerShared,
  id: PipeId,
  { channel, from, service, offer, peer: peerInfo }: Incoming,
): PeerPipe | undefined {
  const { identity, authorise, random, hardNat } = shared.options;
  const read = readOffer(identity, offer);
  if (!read.ok) return refuse(from, read.kind);
  const peer = read.value;
  if (peer.service !== service) return refuse(peer.from, "wrong-service");
  if (!authorise(peer.from, peer.service)) return refuse(peer.from, "not-authorised");
  const wishes = hardNatWishes(hardNat);
  const iceLocal = createIceCredentials(random);
  const session = shared.sessions.take();
  const own = { ice: iceLocal, ...(wishes !== undefined && peer.hard_nat !== undefined && { hardNat: wishes }) };
  const answered = answerOffer(identity, offer, peer, session, own, random);
  if (!answered.ok || !shared.signals.accept(channel, answered.value.answer)) {
    shared.sessions.release(session);
    return answered.ok ? undefined : refuse(peer.from, answered.kind);
  }
  const { agreement } = answered.value;
  const terms = agreeHardNat(hardNat, peer.hard_nat, "responder");
  return new PeerPipe(shared, { now, id, service, channel, role: "responder", agreement, iceLocal, terms, peerInfo });

  function refuse(who: string, reason: string): undefined {
    shared.signals.reject(channel, reason);
    shared.out.events.push({ type: "refused", from: who, service, reason });
  }
}
