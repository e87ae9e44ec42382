import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import { type Hello, MAX_LANE_ID, SUPPORTED_CAPS } from "../wire/control.ts";
import type { FrameErrorKind } from "../wire/pdu.ts";
import { TunnelCounters } from "./counters.ts";
import type { Lane } from "./lane.ts";
import { Session, type SessionOptions } from "./session.ts";

/** Sessions of one CN at a time. The one that has been without lanes longest makes room. DESIGN "Safety". */
export const SESSIONS_PER_CN = 8;

export interface SessionTableOptions {
  readonly session: Omit<SessionOptions, "clientCn" | "sessionId" | "outbound">;
  /** A session outlives its last lane by this, so that WireGuard's endpoint stays where it is. */
  readonly lingerMs: number;
  /** A random u32, the epoch of a new session. */
  readonly randomU32: () => number;
}

interface Entry {
  readonly session: Session;
  readonly epoch: number;
  expiresAt: Instant;
}

/**
 * The server's sessions, found by `client_cn + session_id`: a session_id means nothing under another CN, so nobody can
 * join what is not theirs. A lane joins by its HELLO, or by DATA without one (a peer that speaks only DATA), which
 * means the session with the empty id.
 */
export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #entries = new Map<string, Entry>();
  /** One per CN for the life of the process: its series never restart. */
  readonly counters = new Map<string, TunnelCounters>();

  constructor(options: SessionTableOptions) {
    this.#options = options;
  }

  get sessions(): Session[] {
    return [...this.#entries.values()].map((entry) => entry.session);
  }

  countersOf(cn: string): TunnelCounters {
    let counters = this.counters.get(cn);
    if (counters === undefined) {
      counters = new TunnelCounters();
      this.counters.set(cn, counters);
    }
    return counters;
  }

  /**
   * The first PDU of `lane` was this HELLO (or DATA: `undefined`). Attaches it to its session and puts the answer into
   * its outbox. Says which session, whether it is new, and which sessions had to go; or why the lane must.
   */
  join(now: Instant, lane: Lane, cn: string, hello: Hello | undefined, out: Uint8Array[]): JoinResult {
    if (hello !== undefined && hello.kind !== "lane") return { ok: false, kind: "bad_hello" };
    const sessionId = hello?.session_id ?? "";
    const found = this.#entries.get(keyOf(cn, sessionId));
    const evicted = found === undefined ? this.#makeRoom(cn, out) : undefined;
    if (found === undefined && evicted === "full") return { ok: false, kind: "bad_hello" };
    const entry = found ?? this.#create(now, cn, sessionId);
    entry.expiresAt = NEVER;
    const laneId = hello?.lane_id ?? freeLaneId(entry.session);
    if (laneId === undefined) return { ok: false, kind: "bad_hello" };
    // The last one: those before it have been told to go and are on their way.
    const replaced = entry.session.lanes.findLast((other) => other.id === laneId);
    lane.id = laneId;
    entry.session.attach(now, lane);
    if (hello !== undefined) {
      const caps = SUPPORTED_CAPS.filter((cap) => hello.caps.includes(cap));
      entry.session.acknowledge(lane, entry.epoch, caps, out);
      lane.putControl({
        type: "hello_ack",
        session_id: sessionId,
        epoch: entry.epoch,
        caps: [...(entry.session.caps ?? [])],
      });
    }
    return {
      ok: true,
      session: entry.session,
      created: found === undefined,
      evicted: evicted === "full" ? undefined : evicted,
      replaced,
    };
  }

  /**
   * The session of a peer, whether it has lanes or not yet: datagrams of a channel are to wait there. One that is made
   * for them expires like one whose lanes have gone. Undefined: this CN may have no more.
   */
  reach(now: Instant, cn: string, sessionId: string, out: Uint8Array[]): ReachResult | undefined {
    const found = this.#entries.get(keyOf(cn, sessionId));
    if (found !== undefined) return { session: found.session, created: false, evicted: undefined };
    const evicted = this.#makeRoom(cn, out);
    if (evicted === "full") return undefined;
    const entry = this.#create(now, cn, sessionId);
    entry.expiresAt = now + this.#options.lingerMs;
    return { session: entry.session, created: true, evicted };
  }

  /** A lane of `session` has ended. */
  left(now: Instant, session: Session): void {
    const entry = this.#entries.get(keyOf(session.clientCn, session.sessionId));
    if (entry?.session === session && session.lanes.length === 0) entry.expiresAt = now + this.#options.lingerMs;
  }

  nextTimeout(): Instant {
    let next = NEVER;
    for (const entry of this.#entries.values()) next = Math.min(next, entry.expiresAt);
    return next;
  }

  /** Sessions whose time without lanes is over; they have been closed and must be disposed of. */
  expire(now: Instant, out: Uint8Array[]): Session[] {
    const expired = [...this.#entries.values()].filter((entry) => entry.expiresAt <= now);
    for (const { session } of expired) this.remove(session, out);
    return expired.map((entry) => entry.session);
  }

  remove(session: Session, out: Uint8Array[]): void {
    const key = keyOf(session.clientCn, session.sessionId);
    // It may have been evicted before, and its name be another's by now.
    if (this.#entries.get(key)?.session === session) this.#entries.delete(key);
    session.close(out);
  }

  #create(now: Instant, cn: string, sessionId: string): Entry {
    const session = new Session(
      { ...this.#options.session, clientCn: cn, sessionId, outbound: "down" },
      this.countersOf(cn),
      now,
    );
    const entry = { session, epoch: this.#options.randomU32(), expiresAt: NEVER };
    this.#entries.set(keyOf(cn, sessionId), entry);
    return entry;
  }

  /** The session to close so that `cn` may open one more; "full" if all of them have lanes. */
  #makeRoom(cn: string, out: Uint8Array[]): Session | "full" | undefined {
    const own = [...this.#entries.values()].filter((entry) => entry.session.clientCn === cn);
    if (own.length < SESSIONS_PER_CN) return undefined;
    const oldest = own.reduce((best, entry) => (entry.expiresAt < best.expiresAt ? entry : best));
    if (oldest.expiresAt === NEVER) return "full";
    this.remove(oldest.session, out);
    return oldest.session;
  }
}

export interface ReachResult {
  readonly session: Session;
  readonly created: boolean;
  /** A session that made room. */
  readonly evicted: Session | undefined;
}

export type JoinResult =
  | (ReachResult & {
      readonly ok: true;
      /** The lane that had this id: its client has given it up, whatever this end still believes. */
      readonly replaced: Lane | undefined;
    })
  | { readonly ok: false; readonly kind: FrameErrorKind };

/** The lowest lane id that a peer without HELLO may get. */
function freeLaneId(session: Session): number | undefined {
  for (let id = 0; id <= MAX_LANE_ID; id++) if (!session.lanes.some((lane) => lane.id === id)) return id;
  return undefined;
}

function keyOf(cn: string, sessionId: string): string {
  // A CN has no space (`[A-Za-z0-9.-]{1,64}`), so the key has one reading.
  return `${cn} ${sessionId}`;
}
