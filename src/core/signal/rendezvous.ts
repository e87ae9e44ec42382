import { formatCandidate, MAX_CANDIDATES } from "../ice/candidate.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import type { PunchReject, Signal } from "../wire/signal.ts";
import type { HubOffice } from "./hub-office.ts";
import type { HubEnd, HubPipe, PunchWish } from "./hub-pipe.ts";
import { MAX_START_DELAY_MS, PUNCH_WAIT_MS } from "./limits.ts";
import type { Member } from "./member.ts";
import { peerInfoText } from "./peer-info.ts";
import type { RateWindow } from "./rate.ts";

type Message<Type extends Signal["type"]> = Extract<Signal, { type: Type }>;

/**
 * Lets both ends of an open pipe begin at the same moment: for ICE as soon as both have sent candidates of one attempt,
 * for hard-NAT as soon as both have asked, each from an address that the server itself has seen. What asks for more
 * starts than a peer may be told waits (ICE) or is refused (hard-NAT, whose trains are larger).
 */
export class Rendezvous {
  readonly #office: HubOffice;
  /** Both ends have sent candidates, and one of them was told of too many starts lately. */
  readonly #held = new Set<HubPipe>();
  readonly #wishes = new Set<HubEnd>();

  constructor(office: HubOffice) {
    this.#office = office;
  }

  candidates(now: Instant, end: HubEnd, signal: Message<"candidates">): void {
    const { attempt, last } = signal;
    const other = end.pipe.other(end);
    if (!this.#office.hasRoom(other.member)) {
      this.#office.counters.dropped.absent += 1;
      return;
    }
    if (end.ice?.attempt !== attempt) end.ice = { attempt, candidates: 0, isStarted: false };
    const taken = signal.candidates.slice(0, MAX_CANDIDATES - end.ice.candidates);
    end.ice.candidates += taken.length;
    end.member.info = signal.peer;
    this.#office.send(other.member, {
      type: "candidates",
      channel: other.channel,
      attempt,
      candidates: taken.map(formatCandidate),
      last,
      peer: peerInfoText(end.member.vouchedInfo(now)),
    });
    this.#start(now, end.pipe);
  }

  request(now: Instant, end: HubEnd, { attempt, role, reflex }: Message<"punch_request">): void {
    const other = end.pipe.other(end);
    if (end.punch !== undefined && end.punch.attempt !== attempt) this.#refuse(end, end.punch.attempt, "no-session");
    const reason = this.#refusal(now, end, reflex);
    if (reason !== undefined) {
      this.#refuse(end, attempt, reason);
      return;
    }
    const wish = { attempt, role, reflex, deadline: now + PUNCH_WAIT_MS };
    end.punch = wish;
    this.#wishes.add(end);
    if (other.punch?.attempt === attempt) this.#introduce(now, [end, wish], [other, other.punch]);
    else this.#office.alarm.set(wish.deadline);
  }

  /** For the other end alone, once for each introduction. */
  acknowledge(end: HubEnd, attempt: number): void {
    if (end.introduced !== attempt) {
      this.#office.counters.dropped.unexpected += 1;
      return;
    }
    end.introduced = undefined;
    const other = end.pipe.other(end);
    this.#office.send(other.member, { type: "punch_ack", channel: other.channel, attempt });
  }

  refuseUnknown(member: Member, channel: number, attempt: number): void {
    this.#office.counters.punchRejects["no-session"] += 1;
    this.#office.send(member, { type: "punch_reject", channel, attempt, reason: "no-session" });
  }

  /** The pipe is no more; `closed` ends whatever was asked of it. */
  forget(pipe: HubPipe): void {
    this.#held.delete(pipe);
    for (const end of pipe.ends) this.#wishes.delete(end);
  }

  /** Its control connection is gone: what it had asked for is void, and what others wait for it to ask. */
  left(member: Member): void {
    for (const end of member.ends.values()) {
      const other = end.pipe.other(end);
      this.forget(end.pipe);
      if (other.punch !== undefined) this.#refuse(other, other.punch.attempt, "unknown-target");
      for (const one of [end, other]) {
        one.ice = undefined;
        one.punch = undefined;
        one.introduced = undefined;
      }
    }
  }

  handleTimeout(now: Instant): void {
    for (const pipe of [...this.#held]) {
      this.#held.delete(pipe);
      this.#start(now, pipe);
    }
    for (const end of [...this.#wishes]) {
      if (end.punch === undefined) this.#wishes.delete(end);
      else if (now < end.punch.deadline) this.#office.alarm.set(end.punch.deadline);
      else this.#refuse(end, end.punch.attempt, "unknown-target");
    }
  }

  #start(now: Instant, pipe: HubPipe): void {
    const [one, other] = pipe.ends;
    if (one.ice === undefined || other.ice === undefined || one.ice.attempt !== other.ice.attempt) return;
    if (one.ice.isStarted && other.ice.isStarted) return;
    const { attempt } = one.ice;
    const freeAt = this.#takeStart(now, pipe);
    if (freeAt !== undefined) {
      this.#held.add(pipe);
      this.#office.alarm.set(freeAt);
      return;
    }
    one.ice.isStarted = true;
    other.ice.isStarted = true;
    this.#office.counters.starts += 1;
    const delays = startDelays(pipe);
    for (const [index, { member, channel }] of pipe.ends.entries())
      this.#office.send(member, { type: "start_punching", channel, attempt, delay_ms: delays[index] ?? 0 });
  }

  #refusal(now: Instant, end: HubEnd, reflex: PunchWish["reflex"]): PunchReject | undefined {
    if (!this.#office.rates.of(now, end.member.cn).punches.take(now)) return "rate-limited";
    if (end.member.connection?.sightings.has(now, reflex) !== true) return "reflex-mismatch";
    return end.pipe.other(end).member.connection === undefined ? "unknown-target" : undefined;
  }

  #introduce(now: Instant, ...asked: readonly [[HubEnd, PunchWish], [HubEnd, PunchWish]]): void {
    const [[one, its], [other, others]] = asked;
    // Two alike cannot meet; there is nothing between them to introduce.
    const isPair = its.role !== others.role;
    if (!isPair || this.#takeStart(now, one.pipe) !== undefined) {
      for (const [end, { attempt }] of asked) this.#refuse(end, attempt, isPair ? "rate-limited" : "no-session");
      return;
    }
    this.#office.counters.introductions += 1;
    const delays = startDelays(one.pipe);
    for (const [end, { attempt, role }, peer] of [[one, its, others] as const, [other, others, its] as const]) {
      this.#wishes.delete(end);
      end.punch = undefined;
      end.introduced = attempt;
      this.#office.send(end.member, {
        type: "punch_introduce",
        channel: end.channel,
        attempt,
        role,
        peer_reflex: formatEndpoint(peer.reflex),
        delay_ms: delays[end.pipe.ends.indexOf(end)] ?? 0,
      });
    }
  }

  #refuse(end: HubEnd, attempt: number, reason: PunchReject): void {
    if (end.punch?.attempt === attempt) {
      end.punch = undefined;
      this.#wishes.delete(end);
    }
    this.#office.counters.punchRejects[reason] += 1;
    this.#office.send(end.member, { type: "punch_reject", channel: end.channel, attempt, reason });
  }

  /** One start for both ends; or when both may have one. */
  #takeStart(now: Instant, { ends }: HubPipe): Instant | undefined {
    const windows = new Set<RateWindow>(ends.map(({ member }) => this.#office.rates.of(now, member.cn).starts));
    const freeAt = Math.max(...[...windows].map((window) => window.freeAt));
    if (now < freeAt) return freeAt;
    for (const window of windows) window.take(now);
    return undefined;
  }
}

/** DESIGN: (max RTT − own RTT) / 2, so that both begin when the one farther away hears of it. */
function startDelays({ ends }: HubPipe): number[] {
  const rtts = ends.map(({ member }) => member.connection?.heartbeat.rttMs ?? null);
  if (rtts.includes(null)) return [0, 0];
  const longest = Math.max(...rtts.map(Number));
  return rtts.map((rtt) => Math.min((longest - Number(rtt)) / 2, MAX_START_DELAY_MS));
}
