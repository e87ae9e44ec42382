import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { addresseeOf } from "./addressee.ts";
import { type Candidate, type LocalCandidate, MAX_CANDIDATES } from "./candidate.ts";
import { type CheckParties, checkRequest, MIN_RTO_MS } from "./check-request.ts";
import { CheckResponder, type PeerCheck } from "./check-responder.ts";
import { type CheckEnd, CheckTable } from "./check-table.ts";
import { type CandidatePair, Checklist } from "./checklist.ts";
import { Consent } from "./consent.ts";
import type { IceCredentials } from "./credentials.ts";
import { type IceCounters, newIceCounters } from "./ice-counters.ts";
import { Nomination } from "./nomination.ts";
import { OwnCandidates } from "./own-candidates.ts";
import { ReachBudget } from "./reach-budget.ts";
import { Role } from "./role.ts";

export interface IceOptions {
  readonly random: RandomBytes;
  /** The side that opened the pipe controls: it chooses the pair. */
  readonly controlling: boolean;
  readonly local: IceCredentials;
  /** The best first, of `gatherCandidates`; of more than 32 the first. */
  readonly candidates: readonly LocalCandidate[];
  /** From `start` on; then it has failed. */
  readonly deadlineMs?: number;
}

export type IceEvent =
  /** This pair works both ways and both sides use it: `socket` sends to `remote`, and `local` is how the peer sees us. */
  | {
      readonly type: "selected";
      readonly socket: number;
      readonly local: LocalCandidate;
      readonly remote: Candidate;
      readonly rttMs: number | undefined;
    }
  /** `no-pair`: everything that there was has failed; `timeout`: not everything has. Both are worth another try, later. */
  | { readonly type: "failed"; readonly cause: "timeout" | "no-pair" }
  /** The peer has not said for 30 s that it still wants to be sent to, or does not want it: sending has to stop. */
  | { readonly type: "consent-lost" };

/** DESIGN "The direct plane": ICE ends 5 s after it was started. */
export const ICE_DEADLINE_MS = 5_000;
/** Ta: RFC 8445 §14.2 has 50 ms unless both sides agree on another, as here all do by being `ut`; at least 5 ms. */
export const PACE_MS = 20;

/**
 * Interactive Connectivity Establishment for one data stream of one component (RFC 8445): ordinary and triggered
 * checks, both paced; peer-reflexive candidates, role conflicts, regular nomination; after that consent (RFC 7675),
 * whose checks keep the NATs' mappings open as well.
 *
 * Both sides are full agents. Candidates are gathered outside (`gatherCandidates`); those of the peer may come late
 * (trickle, RFC 8838). That all checks have failed is no end before the deadline, as a check of the peer may still show
 * a way (RFC 8863). A restart (§9) is another agent with other credentials on the same sockets, while this one goes on
 * until that has selected a pair. Left out on purpose: components, streams, relays, lite agents, ICMP errors, and a
 * second nomination: what is selected stays so, and a nomination that fails is the end of this agent (§7.2.5.3.4).
 */
export class IceAgent implements Machine<IceEvent> {
  readonly counters: IceCounters = newIceCounters();
  readonly #options: IceOptions;
  readonly #role: Role;
  readonly #own: OwnCandidates;
  readonly #checklist: Checklist;
  readonly #checks: CheckTable;
  readonly #nomination: Nomination;
  readonly #responder: CheckResponder;
  readonly #events: IceEvent[] = [];
  /** Checks of the peer that came before its credentials, or before `start`. */
  readonly #early: PeerCheck[] = [];
  #remote: IceCredentials | undefined;
  #remotesComplete = false;
  #startedAt = NEVER;
  #lastCheckAt = Number.NEGATIVE_INFINITY;
  #consent: Consent | undefined;
  #state: "gathering" | "checking" | "selected" | "over" = "gathering";

  constructor(options: IceOptions) {
    const { random, controlling, local, candidates } = options;
    const budget = new ReachBudget();
    this.#options = options;
    this.#role = new Role(controlling, random);
    this.#own = new OwnCandidates(candidates);
    this.#checklist = new Checklist(this.#own.all, controlling);
    this.#checks = new CheckTable(budget, this.counters);
    this.#nomination = new Nomination(this.#checklist);
    this.#responder = new CheckResponder({ local, role: this.#role, budget, counters: this.counters });
  }

  get controlling(): boolean {
    return this.#role.controlling;
  }

  /** What was tried and how it went, the best pair first: for `ut nat explain`. */
  get pairs(): readonly Readonly<CandidatePair>[] {
    return this.#checklist.pairs;
  }

  /** The other side's credentials, from its signed offer or answer; once. */
  setRemote(credentials: IceCredentials): void {
    this.#remote ??= credentials;
  }

  /** Candidates of the other side, as many as are allowed; `last` when no more will come. */
  addRemotes(candidates: readonly Candidate[], last: boolean): void {
    for (const candidate of candidates) if (!this.#checklist.addRemote(candidate)) this.counters.refused += 1;
    this.#remotesComplete ||= last;
  }

  /** Begins to check, if `setRemote` was called. From then on, a check of the peer that comes earlier begins it as well. */
  start(now: Instant): void {
    if (this.#state !== "gathering" || this.#remote === undefined) return;
    this.#state = "checking";
    this.#startedAt = now;
    const { ufrag } = this.#remote;
    for (const check of this.#early.splice(0)) if (check.ufrag === ufrag) this.#wasChecked(now, check);
    this.handleTimeout(now);
  }

  /** True: it was for this agent, whether it counted or not, and concerns nobody else who uses the socket. */
  handleDatagram(now: Instant, datagram: Datagram): boolean {
    if (this.#state === "over") return false;
    if (addresseeOf(datagram.payload) === this.#options.local.ufrag) this.#requested(now, datagram);
    else if (!this.#consent?.handleDatagram(now, datagram)) {
      const end = this.#checks.handleDatagram(now, datagram);
      if (end === undefined) return false;
      if (end !== true) this.#ended(now, end);
    }
    this.handleTimeout(now);
    return true;
  }

  handleTimeout(now: Instant): void {
    if (this.#consent !== undefined) this.#keepConsent(now, this.#consent);
    if (this.#state === "checking") for (const end of this.#checks.handleTimeout(now)) this.#ended(now, end);
    if (this.#state !== "checking") return;
    this.#nomination.handleTimeout(now);
    if (now >= this.#nextCheckAt) this.#checkNext(now);
    this.#judge(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#responder.pollTransmit() ?? this.#checks.pollTransmit() ?? this.#consent?.pollTransmit();
  }

  pollEvent(): IceEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    if (this.#consent !== undefined) return this.#consent.nextTimeout();
    if (this.#state !== "checking") return NEVER;
    return Math.min(this.#nextCheckAt, this.#nomination.nextTimeout(), this.#deadline, this.#checks.nextTimeout());
  }

  /** Gives up: nothing is sent or answered any more, and no event comes. */
  stop(): void {
    this.#state = "over";
    this.#checks.clear();
    this.#responder.clear();
    this.#consent = undefined;
    this.#early.length = 0;
    this.#events.length = 0;
  }

  /** Ordinary and triggered checks share one pace. */
  get #nextCheckAt(): Instant {
    return this.#checklist.hasNext ? this.#lastCheckAt + PACE_MS : NEVER;
  }

  /**
   * At once without anything to try. Twice as far where a pair works: the other side may just be about to choose it, or
   * be sending over it already.
   */
  get #deadline(): Instant {
    const { pairs } = this.#checklist;
    if (this.#remotesComplete && pairs.length === 0) return this.#startedAt;
    const isClose = pairs.some(({ nominated, state }) => nominated || state === "succeeded");
    return this.#startedAt + (this.#options.deadlineMs ?? ICE_DEADLINE_MS) * (isClose ? 2 : 1);
  }

  #requested(now: Instant, datagram: Datagram): void {
    const check = this.#responder.handleRequest(datagram, this.#remote?.ufrag);
    this.#followRole(now);
    if (check === undefined || this.#state === "selected") return;
    if (this.#state === "checking") this.#wasChecked(now, check);
    else {
      if (this.#early.length < MAX_CANDIDATES) this.#early.push(check);
      this.start(now);
    }
  }

  /** RFC 8445 §7.3.1.3 to §7.3.1.5. */
  #wasChecked(now: Instant, { socket, from, priority, useCandidate }: PeerCheck): void {
    const pair = this.#checklist.reveal(this.#own.sending(socket, from), from, priority);
    if (pair === undefined) {
      this.counters.refused += 1;
      return;
    }
    if (useCandidate && !this.controlling) pair.nominated = true;
    if (pair.state === "succeeded") {
      if (pair.nominated && !this.controlling) this.#select(now, pair);
    } else if (pair.state !== "in-progress" || now >= (pair.triggeredAt ?? -Infinity) + MIN_RTO_MS) {
      // A copy of the peer's check changes nothing while the answer to ours may be on its way.
      pair.triggeredAt = now;
      this.#trigger(pair);
    }
  }

  /** A check under way begins anew: the first one may have died in a NAT that is open only now. */
  #trigger(pair: CandidatePair): void {
    this.#checks.cancel(pair);
    pair.state = "waiting";
    this.#checklist.trigger(pair);
  }

  #checkNext(now: Instant): void {
    const pair = this.#checklist.next();
    if (pair === undefined) return;
    this.#lastCheckAt = now;
    const rtoMs = Math.max(MIN_RTO_MS, PACE_MS * this.#checklist.openChecks);
    const nominates = this.#checklist.isNominating(pair);
    const timing = nominates || pair.triggeredAt !== undefined ? "steady" : "patient";
    const started = this.#checks.start(now, this.#parties(), pair, { nominates, timing, rtoMs });
    if (!started && !this.#checks.has(pair)) this.#failed(pair);
    else if (!nominates) pair.state = "in-progress";
  }

  #parties(): CheckParties {
    const { random, local } = this.#options;
    // Invariant: nothing is checked before `setRemote`.
    return { random, role: this.#role, local, remote: this.#remote as IceCredentials };
  }

  /** RFC 8445 §7.2.5. */
  #ended(now: Instant, { check, outcome }: CheckEnd): void {
    const { pair, nominates, controlling } = check;
    if (outcome.kind === "success") {
      const { xorMappedAddress = pair.local.endpoint } = outcome.message.attributes;
      this.#checklist.succeed(pair, this.#own.seenAs(xorMappedAddress, pair.local), outcome.rttMs);
      if (pair.nominated && (nominates || !this.controlling)) this.#select(now, pair);
      else this.#nomination.consider(now);
    } else if (outcome.kind === "error" && outcome.code === 487) {
      this.#role.yield(controlling);
      this.#followRole(now);
      if (pair.state !== "succeeded" || nominates) this.#trigger(pair);
    } else if (nominates || (pair.state === "in-progress" && !this.#checks.has(pair))) this.#failed(pair);
  }

  #failed(pair: CandidatePair): void {
    pair.state = "failed";
    if (pair.nominated) this.#end({ type: "failed", cause: "no-pair" });
  }

  #followRole(now: Instant): void {
    if (this.#checklist.controlling === this.controlling) return;
    this.#checklist.controlling = this.controlling;
    this.#nomination.consider(now);
  }

  #select(now: Instant, pair: CandidatePair): void {
    const { socket } = pair.local;
    this.#state = "selected";
    this.#checks.clear();
    const { mapped: local = pair.local, remote, rttMs } = pair;
    this.#events.push({ type: "selected", socket, local, remote, rttMs });
    this.#consent = new Consent(now, this.#options.random, (at) => checkRequest(at, this.#parties(), pair));
  }

  #keepConsent(now: Instant, consent: Consent): void {
    consent.handleTimeout(now);
    if (consent.isLost(now)) this.#end({ type: "consent-lost" });
  }

  #judge(now: Instant): void {
    if (this.#state !== "checking" || now < this.#deadline) return;
    const haveFailed = this.#remotesComplete && this.#checklist.pairs.every(({ state }) => state === "failed");
    this.#end({ type: "failed", cause: haveFailed ? "no-pair" : "timeout" });
  }

  #end(event: IceEvent): void {
    this.stop();
    this.#events.push(event);
  }
}
