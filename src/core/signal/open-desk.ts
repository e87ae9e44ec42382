import type { Instant } from "../time.ts";
import { MAX_CTRL_BYTES } from "../wire/control.ts";
import type { SignedOffer } from "../wire/offer.ts";
import { encodeSignal, type Signal, type SignalInput } from "../wire/signal.ts";
import type { OpenFailure } from "./hub-counters.ts";
import type { HubOffice } from "./hub-office.ts";
import type { HubEnd, HubPipe } from "./hub-pipe.ts";
import { ANSWER_WAIT_MS, MAX_CHANNELS, MAX_PENDING_OPENS, MAX_PIPES_PER_PAIR, TARGET_WAIT_MS } from "./limits.ts";
import type { Member } from "./member.ts";
import { peerInfoText } from "./peer-info.ts";

type OpenP2p = Extract<Signal, { type: "open_p2p" }>;

/** An `open_p2p` without an outcome: it waits for its target to register, or with a pipe, for the target's answer. */
interface Opening {
  readonly from: Member;
  readonly requestId: number;
  readonly to: string;
  readonly service: string;
  readonly offer: SignedOffer;
  pipe: HubPipe | undefined;
  deadline: Instant;
}

/** Brings who wants a pipe to who is to have it. Each request ends in one `p2p_opened` or `p2p_failed`, or with its asker. */
export class OpenDesk {
  readonly #office: HubOffice;
  readonly #openings = new Map<Member, Set<Opening>>();

  constructor(office: HubOffice) {
    this.#office = office;
  }

  get pending(): number {
    let pending = 0;
    for (const openings of this.#openings.values()) pending += openings.size;
    return pending;
  }

  request(now: Instant, from: Member, { request_id, to, service, offer }: OpenP2p): void {
    const own = this.#openings.get(from) ?? new Set<Opening>();
    if ([...own].some(({ requestId }) => requestId === request_id)) {
      // The first one is still under way, and a number has one outcome.
      this.#office.counters.dropped.unexpected += 1;
      return;
    }
    const deadline = now + TARGET_WAIT_MS;
    const opening: Opening = { from, requestId: request_id, to, service, offer, pipe: undefined, deadline };
    const refusal = this.#refusal(now, from);
    this.#openings.set(from, own.add(opening));
    this.#office.alarm.set(deadline);
    if (refusal !== undefined) this.#fail(opening, refusal);
    else this.#offer(now, opening, this.#office.roster.registered(to));
  }

  /** Who has waited for this member is brought to it. */
  registered(now: Instant, target: Member): void {
    for (const opening of this.#all())
      if (opening.to === target.cn && opening.pipe === undefined) this.#offer(now, opening, target);
  }

  accept(now: Instant, end: HubEnd, answer: SignedOffer): void {
    const { pipe } = end;
    const opening = this.#openingOf(pipe);
    if (opening === undefined || end !== pipe.target) {
      this.#office.counters.dropped.unexpected += 1;
      return;
    }
    const request_id = opening.requestId;
    const forInitiator: SignalInput = { ...openedFor(now, pipe.initiator), request_id, answer };
    if (!fits(forInitiator)) {
      this.#withdraw(opening, "too-large");
      this.#fail(opening, "too-large");
      return;
    }
    this.#forget(opening);
    pipe.isOpen = true;
    this.#office.counters.opened += 1;
    this.#office.tell({ type: "opened", ends: pipe.publicEnds, service: pipe.service });
    this.#office.send(pipe.initiator.member, forInitiator);
    this.#office.send(end.member, openedFor(now, end));
  }

  reject(end: HubEnd, reason: string): void {
    const opening = this.#openingOf(end.pipe);
    if (opening === undefined || end !== end.pipe.target) this.#office.counters.dropped.unexpected += 1;
    else this.#end(opening, reason, "target");
  }

  /** A member's control connection is gone: nobody waits for what it asked, nothing comes of what it was asked. */
  left(member: Member): void {
    for (const opening of [...(this.#openings.get(member) ?? [])]) {
      this.#forget(opening);
      this.#withdraw(opening, "peer-gone");
    }
    for (const opening of this.#all())
      if (opening.pipe?.target.member === member) this.#fail(opening, "peer-not-reachable");
  }

  handleTimeout(now: Instant): void {
    for (const opening of this.#all()) {
      const { pipe, deadline } = opening;
      if (now < deadline) this.#office.alarm.set(deadline);
      else if (pipe === undefined) this.#fail(opening, "peer-not-reachable");
      else {
        this.#withdraw(opening, "no-answer");
        this.#fail(opening, "no-answer");
      }
    }
  }

  /** Why `from` may not ask at all. */
  #refusal(now: Instant, from: Member): OpenFailure | undefined {
    let pending = 0;
    for (const member of this.#office.roster.of(from.cn)) pending += this.#openings.get(member)?.size ?? 0;
    if (pending >= MAX_PENDING_OPENS) return "too-many-pending";
    if (from.ends.size >= MAX_CHANNELS) return "too-many-channels";
    return this.#office.rates.of(now, from.cn).opens.take(now) ? undefined : "rate-limited";
  }

  #offer(now: Instant, opening: Opening, target: Member | undefined): void {
    if (target === undefined) return;
    const problem = this.#problem(opening, target) ?? this.#sendOffer(now, opening, target);
    if (problem !== undefined) this.#fail(opening, problem);
  }

  #problem({ from }: Opening, target: Member): OpenFailure | undefined {
    if (target === from) return "self";
    if (from.ends.size >= MAX_CHANNELS) return "too-many-channels";
    const isBusy = target.ends.size >= MAX_CHANNELS || pipesBetween(from, target) >= MAX_PIPES_PER_PAIR;
    return isBusy || !this.#office.hasRoom(target) ? "target-busy" : undefined;
  }

  #sendOffer(now: Instant, opening: Opening, target: Member): OpenFailure | undefined {
    const { from, service, offer } = opening;
    const pipe = this.#office.pipes.create(service, from, target);
    opening.pipe = pipe;
    opening.deadline = now + ANSWER_WAIT_MS;
    this.#office.alarm.set(opening.deadline);
    const { channel } = pipe.target;
    const peer = peerInfoText(from.vouchedInfo(now));
    const incoming: SignalInput = { type: "p2p_incoming", channel, from: from.cn, service, offer, peer };
    if (!fits(incoming)) return "too-large";
    this.#office.send(target, incoming);
    return undefined;
  }

  /** The target need not answer any more. */
  #withdraw({ pipe }: Opening, reason: string): void {
    if (pipe === undefined) return;
    this.#office.send(pipe.target.member, { type: "p2p_close", channel: pipe.target.channel, reason });
    this.#office.pipes.remove(pipe);
  }

  #fail(opening: Opening, reason: OpenFailure): void {
    this.#end(opening, reason, "server");
  }

  #end(opening: Opening, reason: string, by: "server" | "target"): void {
    const { from, requestId, to } = opening;
    this.#forget(opening);
    if (opening.pipe !== undefined) this.#office.pipes.remove(opening.pipe);
    this.#office.counters.failed[by === "server" ? (reason as OpenFailure) : "rejected"] += 1;
    this.#office.tell({ type: "failed", from: from.cn, to, reason, by });
    this.#office.send(from, { type: "p2p_failed", request_id: requestId, reason, by });
  }

  #forget(opening: Opening): void {
    const openings = this.#openings.get(opening.from);
    openings?.delete(opening);
    if (openings?.size === 0) this.#openings.delete(opening.from);
  }

  #openingOf(pipe: HubPipe): Opening | undefined {
    return [...(this.#openings.get(pipe.initiator.member) ?? [])].find((opening) => opening.pipe === pipe);
  }

  #all(): Opening[] {
    return [...this.#openings.values()].flatMap((openings) => [...openings]);
  }
}

/** What `end` is told when its pipe opens. */
function openedFor(now: Instant, end: HubEnd): Extract<SignalInput, { type: "p2p_opened" }> {
  const { member } = end.pipe.other(end);
  return {
    type: "p2p_opened",
    channel: end.channel,
    peer: peerInfoText(member.vouchedInfo(now)),
    rtt_ms: end.member.connection?.heartbeat.rttMs ?? null,
    peer_rtt_ms: member.connection?.heartbeat.rttMs ?? null,
  };
}

/** Pipes that sessions of the one CN have opened to the other member. */
function pipesBetween({ cn }: Member, target: Member): number {
  let pipes = 0;
  for (const end of target.ends.values())
    if (end === end.pipe.target && end.pipe.initiator.member.cn === cn) pipes += 1;
  return pipes;
}

function fits(signal: SignalInput): boolean {
  return encodeSignal(signal).length <= MAX_CTRL_BYTES;
}
