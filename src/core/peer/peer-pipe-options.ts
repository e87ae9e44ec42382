import type { IceCredentials } from "../ice/credentials.ts";
import type { PipeAgreement } from "../pipe/handshake.ts";
import type { Instant } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import type { HardNatTerms } from "./hard-nat-plan.ts";
import type { PipeId } from "./peer-event.ts";

/** An open pipe, as its two ends have agreed upon it. */
export interface PeerPipeOptions {
  readonly now: Instant;
  readonly id: PipeId;
  readonly service: string;
  readonly channel: number;
  readonly role: "initiator" | "responder";
  readonly agreement: PipeAgreement;
  readonly iceLocal: IceCredentials;
  readonly terms: HardNatTerms;
  readonly peerInfo: PeerInfo;
}
