import type { Candidate, LocalCandidate } from "../ice/candidate.ts";
import { IceAgent, type IceEvent } from "../ice/ice-agent.ts";
import type { Datagram } from "../machine.ts";
import type { NatType } from "../nat/nat-type.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { AttemptParts } from "./attempt-parts.ts";
import { HardNat, type HardNatEvent } from "./hard-nat.ts";
import type { AttemptPlan } from "./hard-nat-plan.ts";
import { CHECKS_AFTER_MS, openings } from "./opening.ts";
import { type Found, Proof } from "./proof.ts";

/** What both ends have told each other, which is what there is to race with. */
export interface RaceCourse {
  readonly plan: AttemptPlan;
  readonly own: { readonly nat: NatType; readonly candidates: readonly LocalCandidate[] };
  readonly peer: { readonly nat: NatType; readonly candidates: readonly Candidate[]; readonly isLast: boolean };
}

/**
 * ICE and hard-NAT of one attempt, one after the other, side by side, or one alone, as the plan has it: the first of
 * them whose address the pipe has proven wins, and whatever lost is ended (DESIGN "Modes").
 */
export class Race {
  readonly #parts: AttemptParts;
  #course: RaceCourse;
  readonly #proof: Proof;
  #agent: IceAgent | undefined;
  #iceAt: Instant = NEVER;
  #hardNat: HardNat | undefined;
  #hardNatAt: Instant = NEVER;
  #startedAt: Instant | undefined;
  #isIceFound = false;
  #isHardNatFound = false;
  /** Set with the win: the socket that lives on. */
  #kept: number | undefined;
  #iceCause: string | null = null;
  #hardNatCause: string | null = null;
  #isRejected = false;

  constructor(parts: AttemptParts, course: RaceCourse) {
    this.#parts = parts;
    this.#course = course;
    this.#proof = new Proof(parts.isInitiator ? parts.prove : undefined);
    if (!course.plan.ice) return;
    const { random, isInitiator, ice } = parts;
    this.#agent = new IceAgent({
      random,
      controlling: isInitiator,
      local: ice.local,
      candidates: course.own.candidates,
    });
    this.#agent.setRemote(ice.remote);
    this.#agent.addRemotes(course.peer.candidates, course.peer.isLast);
    if (isInitiator) return;
    for (const opening of openings(random, course.own.candidates, course.peer.candidates))
      parts.out.transmits.push(opening);
  }

  /** Why each has failed; null where it was not tried or did not. */
  get causes(): { readonly ice: string | null; readonly hardNat: string | null } {
    return { ice: this.#iceCause, hardNat: this.#hardNatCause };
  }

  /** Of hard-NAT, once it has begun. */
  get role(): PunchRole | null {
    return this.#hardNat?.role ?? null;
  }

  /** Sent by hard-NAT. */
  get packets(): number {
    return this.#hardNat?.packets ?? 0;
  }

  /** Nothing can come of it any more, and why. */
  get verdict(): "unproven" | "same-role" | "rendezvous-rejected" | "punch-failed" | undefined {
    if (this.#proof.isOpen || this.#hardNatAt < NEVER) return undefined;
    const isIceTrying = this.#agent !== undefined && !this.#isIceFound;
    const isHardNatTrying = this.#hardNat?.isOver === false && !this.#isHardNatFound;
    if (isIceTrying || isHardNatTrying) return undefined;
    if (this.#proof.hasAny) return "unproven";
    if (this.#course.plan.isSameRole) return "same-role";
    return this.#isRejected ? "rendezvous-rejected" : "punch-failed";
  }

  /** After the win: the other end needs no more answers, as far as can be known. */
  get isQuiet(): boolean {
    return this.#agent === undefined && this.#hardNat?.isOver !== false;
  }

  /** The moment that both ends were told of. */
  start(at: Instant): void {
    this.#startedAt = at;
    this.#planHardNat(at);
    const wait = CHECKS_AFTER_MS[this.#parts.isInitiator ? "initiator" : "responder"];
    if (this.#agent !== undefined) this.#iceAt = at + wait;
  }

  /** Both ends know better by now which way to go: hard-NAT may join, or need not. What has begun goes on. */
  replan(course: RaceCourse): void {
    this.#course = course;
    if (this.#startedAt !== undefined && this.#hardNat === undefined) this.#planHardNat(this.#startedAt);
  }

  addRemotes(candidates: readonly Candidate[], isLast: boolean): void {
    this.#agent?.addRemotes(candidates, isLast);
  }

  /** True: that was news. */
  introduced(now: Instant, role: PunchRole, peerReflex: Endpoint, delayMs: number): boolean {
    return this.#hardNat?.introduced(now, role, peerReflex, delayMs) === true;
  }

  /** The server does not introduce the two ends. */
  punchRejected(now: Instant, reason: string): void {
    if (this.#hardNat?.rejected(now, reason) === true) this.#isRejected = true;
  }

  /** True: the sockets were asked for by this race. */
  socketsOpened(now: Instant, first: number, count: number): boolean {
    return this.#hardNat?.socketsOpened(now, first, count) === true;
  }

  /** True: it was a check of this race's ICE, or the answer to one. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    return this.#agent?.handleDatagram(now, datagram) === true;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    this.#hardNat?.handleDatagram(now, datagram);
  }

  /** It has come to this address, which the pipe may be using already. */
  hasFound(address: DirectAddress): boolean {
    return this.#proof.whoFound(address) !== undefined;
  }

  /** What has led to this address, or will have: the other end may be a moment ahead. */
  whoFound(address: DirectAddress): Found["winner"] | undefined {
    const { socket, remote } = address;
    const found = this.#proof.whoFound(address);
    if (found !== undefined) return found;
    const isPair = this.#agent?.pairs.some(
      (pair) => pair.local.socket === socket && sameEndpoint(pair.remote.endpoint, remote),
    );
    return isPair === true ? "ice" : this.#hardNat?.isFrom(address) === true ? "hardnat" : undefined;
  }

  /** Proven: the loser ends; the winner still answers what the other end repeats. */
  win(now: Instant, winner: Found["winner"], socket: number): void {
    this.#kept = socket;
    this.#proof.end();
    this.#hardNatAt = NEVER;
    if (winner === "ice") this.#hardNat?.release(now);
    else this.#endIce();
  }

  handleTimeout(now: Instant): void {
    if (now >= this.#hardNatAt) this.#beginHardNat(now);
    this.#driveIce(now);
    this.#driveHardNat(now);
    this.#proof.handleTimeout(now);
  }

  nextTimeout(): Instant {
    const machines = Math.min(this.#agent?.nextTimeout() ?? NEVER, this.#hardNat?.nextTimeout() ?? NEVER);
    return Math.min(machines, this.#iceAt, this.#hardNatAt, this.#proof.nextTimeout());
  }

  /** No socket, timer or transaction is left, but for the socket that has won. */
  end(now: Instant): void {
    this.#hardNat?.release(now, this.#kept);
    this.#endIce();
    this.#proof.end();
    this.#hardNatAt = NEVER;
  }

  #driveIce(now: Instant): void {
    const agent = this.#agent;
    if (agent === undefined) return;
    if (now >= this.#iceAt) {
      this.#iceAt = NEVER;
      agent.start(now);
    }
    if (now >= agent.nextTimeout()) agent.handleTimeout(now);
    for (let next = agent.pollTransmit(); next !== undefined; next = agent.pollTransmit())
      this.#parts.out.transmits.push(next);
    for (let event = agent.pollEvent(); event !== undefined; event = agent.pollEvent()) this.#onIce(now, event);
  }

  #driveHardNat(now: Instant): void {
    const hardNat = this.#hardNat;
    if (hardNat === undefined) return;
    hardNat.handleTimeout(now);
    for (let event = hardNat.pollEvent(); event !== undefined; event = hardNat.pollEvent()) this.#onHardNat(now, event);
  }

  #onIce(now: Instant, event: IceEvent): void {
    const { trace } = this.#parts;
    switch (event.type) {
      case "selected": {
        const { socket, local, remote } = event;
        this.#isIceFound = true;
        trace.step(now, "ice-selected", `${local.type} to ${remote.type} ${formatEndpoint(remote.endpoint)}`);
        this.#proof.add(now, { winner: "ice", address: { socket, remote: remote.endpoint } });
        return;
      }
      case "failed":
        this.#iceCause = event.cause;
        trace.step(now, "ice-failed", `${event.cause}, ${this.#agent?.pairs.length ?? 0} pairs`);
        this.#endIce();
        // Fallback, or assist that need not wait any more: both causes are worth it.
        if (this.#course.plan.role !== undefined && this.#hardNat === undefined) this.#hardNatAt = now;
        return;
      case "consent-lost":
        // From the proof on, the pipe's sealed challenges are the consent.
        return;
      default:
        event satisfies never;
    }
  }

  #onHardNat(now: Instant, event: HardNatEvent): void {
    if (event.type === "failed") {
      this.#hardNatCause = event.cause;
      return;
    }
    this.#isHardNatFound = true;
    this.#proof.add(now, { winner: "hardnat", address: event.address });
  }

  #planHardNat(startedAt: Instant): void {
    const { mode, role } = this.#course.plan;
    const { terms, remembered } = this.#parts;
    // What worked the last time need not wait until ICE has failed once more.
    const isAtOnce = this.#agent === undefined || remembered?.winner === "hardnat";
    const delayMs = isAtOnce ? 0 : mode === "assist" ? terms.assistDelayMs : NEVER;
    this.#hardNatAt = role === undefined ? NEVER : startedAt + delayMs;
  }

  #beginHardNat(now: Instant): void {
    this.#hardNatAt = NEVER;
    const { plan, own, peer } = this.#course;
    const { role } = plan;
    if (role === undefined) return;
    const { requestPunch, terms } = this.#parts;
    this.#hardNat = new HardNat(now, role, {
      ...this.#parts,
      settings: terms.settings,
      portFixed: isPortFixed(role === "nat3" ? own.nat : peer.nat),
      request: (at, reflex) => requestPunch(at, role, reflex),
    });
  }

  #endIce(): void {
    this.#agent?.stop();
    this.#agent = undefined;
    this.#iceAt = NEVER;
  }
}

/** Whether a NAT keeps one port for all destinations; undefined where nobody could tell. */
function isPortFixed(nat: NatType): boolean | undefined {
  if (nat === "cone" || nat === "open") return true;
  return nat === "symmetric" ? false : undefined;
}
