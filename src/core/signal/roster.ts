import type { Instant } from "../time.ts";
import type { Attendee } from "./hub-event.ts";
import { SESSIONS_PER_CN } from "./limits.ts";
import { Member } from "./member.ts";

/** Who is there, by CN; and who of them is to be found under it. */
export class Roster {
  readonly #byCn = new Map<string, Map<string, Member>>();

  find({ cn, sessionId }: Attendee): Member | undefined {
    return this.#byCn.get(cn)?.get(sessionId);
  }

  /** All sessions of a CN. */
  of(cn: string): Member[] {
    return [...(this.#byCn.get(cn)?.values() ?? [])];
  }

  *all(): Generator<Member> {
    for (const members of this.#byCn.values()) yield* members.values();
  }

  /** Who answers to a CN now. */
  registered(cn: string): Member | undefined {
    return this.of(cn).find(({ isRegistered }) => isRegistered);
  }

  /** A session that was not there. */
  add(attendee: Attendee): Member {
    const member = new Member(attendee);
    const members = this.#byCn.get(attendee.cn) ?? new Map<string, Member>();
    this.#byCn.set(attendee.cn, members.set(attendee.sessionId, member));
    return member;
  }

  remove(member: Member): void {
    const members = this.#byCn.get(member.cn);
    if (members?.get(member.sessionId) !== member) return;
    members.delete(member.sessionId);
    if (members.size === 0) this.#byCn.delete(member.cn);
  }

  /** Who has to go for one more session of `cn`: one without a connection first, else the one that was silent longest. */
  excess(cn: string): Member | undefined {
    const members = this.of(cn);
    if (members.length < SESSIONS_PER_CN) return undefined;
    return members.reduce((oldest, member) => (lastSeen(member) < lastSeen(oldest) ? member : oldest));
  }
}

/** Comparable among sessions with a connection, and among those without, which come first. */
function lastSeen({ connection, expiresAt }: Member): Instant {
  return connection === undefined ? expiresAt - Number.MAX_SAFE_INTEGER : connection.heardAt;
}
