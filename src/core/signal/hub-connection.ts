import type { RandomBytes } from "../machine.ts";
import type { Instant } from "../time.ts";
import type { SignalInput } from "../wire/signal.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { ConnectionId } from "./hub-event.ts";
import { MAX_UNREAD, SIGNAL_BURST, SIGNALS_PER_SECOND } from "./limits.ts";
import type { Member } from "./member.ts";
import { TokenBucket } from "./rate.ts";
import { Sightings } from "./sightings.ts";

/** 128 bits: who knows one has been told it. */
const CREDENTIAL_BYTES = 16;

/** One control connection, as long as it lasts. */
export class HubConnection {
  readonly id: ConnectionId;
  readonly member: Member;
  readonly heartbeat: Heartbeat;
  readonly rate: TokenBucket;
  /** For Binding requests; it ends with the connection, and so does what was seen under it. */
  readonly credential: { readonly username: string; readonly password: string };
  readonly sightings = new Sightings();
  heardAt: Instant;
  /** The socket takes nothing now. */
  isBlocked = false;
  lanesWantedAt: Instant = Number.NEGATIVE_INFINITY;
  readonly #unread: SignalInput[] = [];

  constructor(now: Instant, id: ConnectionId, member: Member, random: RandomBytes) {
    this.id = id;
    this.member = member;
    this.heartbeat = new Heartbeat(now, random);
    this.rate = new TokenBucket(now, SIGNALS_PER_SECOND, SIGNAL_BURST);
    this.credential = { username: hex(random(CREDENTIAL_BYTES)), password: hex(random(CREDENTIAL_BYTES)) };
    this.heardAt = now;
  }

  get unread(): number {
    return this.#unread.length;
  }

  /** False: it does not read; what was said to it is lost from here on. */
  push(signal: SignalInput): boolean {
    if (this.#unread.length >= MAX_UNREAD) return false;
    this.#unread.push(signal);
    return true;
  }

  shift(): SignalInput | undefined {
    return this.#unread.shift();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
