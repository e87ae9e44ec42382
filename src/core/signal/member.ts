import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import type { HubConnection } from "./hub-connection.ts";
import type { Attendee } from "./hub-event.ts";
import type { HubEnd } from "./hub-pipe.ts";
import { UNKNOWN_NETWORK } from "./peer-info.ts";

/** A process that has, or lately had, a control connection: its CN and `session_id`. Its pipes hang on it. */
export class Member implements Attendee {
  readonly cn: string;
  readonly sessionId: string;
  readonly ends = new Map<number, HubEnd>();
  connection: HubConnection | undefined;
  /** It is the one to be found under its CN; only while it has a connection. */
  isRegistered = false;
  info: PeerInfo = UNKNOWN_NETWORK;
  /** Without a connection: until when its pipes wait for one. */
  expiresAt: Instant = NEVER;

  constructor({ cn, sessionId }: Attendee) {
    this.cn = cn;
    this.sessionId = sessionId;
  }

  get attendee(): Attendee {
    return { cn: this.cn, sessionId: this.sessionId };
  }

  /** What others are told of its network: an address only if the server itself has seen it there. */
  vouchedInfo(now: Instant): PeerInfo {
    const { reflex } = this.info;
    const isSeen = reflex !== null && this.connection?.sightings.has(now, reflex) === true;
    return isSeen ? this.info : { ...this.info, reflex: null };
  }
}
