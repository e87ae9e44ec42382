import { type Candidate, MAX_CANDIDATES } from "../ice/candidate.ts";
import type { Datagram } from "../machine.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import type { AttemptParts, OwnNetwork } from "./attempt-parts.ts";
import { type AttemptPlan, planAttempt } from "./hard-nat-plan.ts";
import type { AttemptReport, DirectMeta } from "./peer-event.ts";
import type { Found } from "./proof.ts";
import { Race } from "./race.ts";
import { hasShortcut } from "./shortcut.ts";

interface Told {
  readonly candidates: readonly Candidate[];
  readonly isLast: boolean;
  readonly peer: PeerInfo;
}

type State =
  /** Our outside address: the server is asked once more, which also keeps the NAT's mapping. */
  | { readonly name: "gathering"; readonly until: Instant }
  /** For the other end's candidates. */
  | { readonly name: "exchanging"; readonly until: Instant }
  /** For the server's word to begin. */
  | { readonly name: "ready"; readonly until: Instant }
  | { readonly name: "starting"; readonly at: Instant }
  | { readonly name: "running" }
  /** Proven. The other end may still need answers to what it repeats. */
  | { readonly name: "won"; readonly until: Instant }
  | { readonly name: "over" };

/** A little longer than the server is asked. */
const GATHER_MS = 2_500;
/** Seed p2p-hole-punching, phase 2.3. */
const EXCHANGE_MS = 5_000;
const START_MS = 5_000;
const LINGER_MS = 5_000;

/**
 * One attempt of two ends to go direct, beside a relay that carries everything meanwhile: the matrix decides, ICE goes
 * first, hard-NAT follows, joins or stands alone as the mode says (DESIGN "Modes"). What either finds is only an
 * address. The initiator has the pipe prove the first one, the responder follows its challenge, so that both ends choose
 * the same; and with the proof whatever lost is ended and leaves nothing behind.
 */
export class DirectAttempt {
  readonly #parts: AttemptParts;
  readonly #startedAt: Instant;
  #state: State;
  #plan: AttemptPlan;
  /** What the other end was told. */
  #own: OwnNetwork | undefined;
  /** Of the other end, which may have been quicker than we. */
  #told: Told | undefined;
  #race: Race | undefined;
  #wasMediated = false;
  #report: AttemptReport | undefined;

  constructor(now: Instant, parts: AttemptParts) {
    this.#parts = parts;
    this.#startedAt = now;
    this.#state = { name: "gathering", until: now + GATHER_MS };
    this.#plan = { way: "unknown", mode: parts.terms.mode, ice: false, role: undefined, isSameRole: false };
    parts.reflex.refresh(now, parts.socket);
    this.handleTimeout(now);
  }

  /** How it ended; undefined while it goes on. */
  get report(): AttemptReport | undefined {
    return this.#report;
  }

  /** Nothing of it is left. */
  get isOver(): boolean {
    return this.#state.name === "over";
  }

  /** Also what the other end has to add later on, about its addresses or its NAT. */
  handleCandidates(now: Instant, candidates: readonly Candidate[], isLast: boolean, peer: PeerInfo): void {
    const all = [...(this.#told?.candidates ?? []), ...candidates].slice(0, MAX_CANDIDATES);
    this.#told = { candidates: all, isLast, peer };
    this.#race?.addRemotes(candidates, isLast);
    this.#choose(now);
  }

  /** More is known of our network than the other end was told. */
  networkChanged(now: Instant): void {
    if (this.#own === undefined || this.#report !== undefined) return;
    this.#own = this.#parts.gather();
    this.#parts.sendCandidates(this.#own.candidates);
    this.#choose(now);
  }

  startPunching(now: Instant, delayMs: number): void {
    if (this.#state.name !== "ready") return;
    this.#wasMediated = true;
    this.#state = { name: "starting", at: now + delayMs };
    this.#parts.trace.step(now, "start", `in ${Math.round(delayMs)} ms`);
    this.handleTimeout(now);
  }

  introduced(now: Instant, role: PunchRole, peerReflex: Endpoint, delayMs: number): void {
    if (this.#race?.introduced(now, role, peerReflex, delayMs) === true) {
      this.#wasMediated = true;
      this.#parts.acknowledgePunch();
    }
    this.handleTimeout(now);
  }

  punchRejected(now: Instant, reason: string): void {
    this.#race?.punchRejected(now, reason);
    this.handleTimeout(now);
  }

  /** True: the sockets were asked for by this attempt. */
  socketsOpened(now: Instant, first: number, count: number): boolean {
    const isOurs = this.#race?.socketsOpened(now, first, count) === true;
    this.handleTimeout(now);
    return isOurs;
  }

  /** True: it was a check of this attempt's ICE, or the answer to one. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    if (this.#race?.handleStun(now, datagram) !== true) return false;
    this.handleTimeout(now);
    return true;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    this.#race?.handleProbe(now, datagram);
    this.handleTimeout(now);
  }

  /** It has come to this address, which the pipe may be using already. */
  hasFound(address: DirectAddress): boolean {
    return this.#race?.hasFound(address) === true;
  }

  /** What has led to this address, or will have: the other end may be a moment ahead. */
  whoFound(address: DirectAddress): Found["winner"] | undefined {
    return this.#race?.whoFound(address);
  }

  /** The pipe has proven this address: what won it, unless it was none of this attempt's doing. */
  directUp(now: Instant, address: DirectAddress): DirectMeta | undefined {
    if (this.#report !== undefined) return undefined;
    const winner = this.whoFound(address);
    if (winner === undefined) {
      this.cancel(now, "direct");
      return undefined;
    }
    const role = winner === "hardnat" ? (this.#race?.role ?? null) : null;
    this.#parts.trace.step(now, "direct", `${winner}, ${formatEndpoint(address.remote)}`);
    this.#end(now, winner, "direct");
    this.#race?.win(now, winner, address.socket);
    this.#state = { name: "won", until: now + LINGER_MS };
    return { winner, elapsedMs: now - this.#startedAt, mode: this.#plan.mode, role };
  }

  handleTimeout(now: Instant): void {
    this.#race?.handleTimeout(now);
    const state = this.#state;
    switch (state.name) {
      case "gathering":
        if (this.#parts.reflex.isSettled || now >= state.until) this.#exchange(now);
        return;
      case "exchanging":
        if (now >= state.until) this.cancel(now, "peer-not-reachable");
        return;
      case "ready":
        if (now >= state.until) this.cancel(now, "rendezvous-no-relay");
        return;
      case "starting":
        if (now >= state.at) this.#start(now, state.at);
        return;
      case "running": {
        const verdict = this.#race?.verdict;
        if (verdict !== undefined) this.cancel(now, verdict);
        return;
      }
      case "won":
        if (now >= state.until || this.#race?.isQuiet === true) this.#dissolve(now);
        return;
      case "over":
        return;
      default:
        state satisfies never;
    }
  }

  nextTimeout(): Instant {
    return Math.min(this.#stateTimeout(), this.#race?.nextTimeout() ?? NEVER);
  }

  /** Ends it, whatever it was at: no socket, timer or transaction is left. */
  cancel(now: Instant, verdict: string): void {
    if (this.#report === undefined) this.#end(now, null, verdict);
    this.#dissolve(now);
  }

  #stateTimeout(): Instant {
    switch (this.#state.name) {
      case "gathering":
      case "exchanging":
      case "ready":
      case "won":
        return this.#state.until;
      case "starting":
        return this.#state.at;
      case "running":
      case "over":
        return NEVER;
      default:
        return this.#state satisfies never;
    }
  }

  #exchange(now: Instant): void {
    this.#own = this.#parts.gather();
    const list = this.#own.candidates.map(({ type, endpoint }) => `${type} ${formatEndpoint(endpoint)}`).join(", ");
    this.#parts.trace.step(now, "candidates", list);
    this.#parts.sendCandidates(this.#own.candidates);
    this.#state = { name: "exchanging", until: now + EXCHANGE_MS };
    this.#choose(now);
  }

  /**
   * Once both ends have said what they are: the matrix, and what may help although it says no. A NAT that is measured
   * only after that changes the plan of a race that began without knowing it.
   */
  #choose(now: Instant): void {
    if (this.#own === undefined || this.#told === undefined || this.#report !== undefined) return;
    // What is forced has roles in any case, which must not change at one end alone.
    const mayChange = this.#plan.way === "unknown" && this.#plan.mode !== "force";
    if (this.#race !== undefined && !mayChange) return;
    const plan = this.#planFor(this.#own, this.#told);
    if (this.#race !== undefined && plan.way === "unknown" && plan.role === this.#plan.role) return;
    const { nat, candidates } = this.#own;
    const { peer, ...told } = this.#told;
    this.#plan = plan;
    this.#parts.trace.step(now, "plan", `${nat.type} to ${peer.nat}: ${plan.way}, hard-NAT ${plan.role ?? "no"}`);
    if (!plan.ice && plan.role === undefined) {
      const isBlocked = nat.type === "blocked" || peer.nat === "blocked";
      this.cancel(now, plan.isSameRole ? "same-role" : isBlocked ? "udp-blocked" : "both-symmetric");
      return;
    }
    const course = { plan, own: { nat: nat.type, candidates }, peer: { nat: peer.nat, ...told } };
    if (this.#race !== undefined) this.#race.replan(course);
    else {
      this.#race = new Race(this.#parts, course);
      this.#state = { name: "ready", until: now + START_MS };
    }
    this.handleTimeout(now);
  }

  #planFor({ nat, isPortMapped, candidates }: OwnNetwork, { peer, candidates: theirs }: Told): AttemptPlan {
    const { terms, isInitiator, attempt } = this.#parts;
    const end = { isInitiator, isSwapped: attempt % 2 === 1 };
    const plan = planAttempt(terms, nat, { type: peer.nat, filtering: peer.filtering }, end);
    const mapped = { own: isPortMapped, peerCaps: peer.caps };
    return { ...plan, ice: plan.ice || (plan.mode !== "force" && hasShortcut(candidates, theirs, mapped)) };
  }

  #start(now: Instant, at: Instant): void {
    this.#state = { name: "running" };
    this.#race?.start(at);
    this.handleTimeout(now);
  }

  #end(now: Instant, winner: Found["winner"] | null, verdict: string): void {
    const { attempt, trace } = this.#parts;
    const { way, mode } = this.#plan;
    const { causes = { ice: null, hardNat: null }, role = null, packets = 0 } = this.#race ?? {};
    this.#report = {
      ...{ attempt, mode, way, role, winner, verdict, packets },
      elapsedMs: now - this.#startedAt,
      iceCause: causes.ice,
      hardNatCause: causes.hardNat,
      wasMediated: this.#wasMediated,
      enteredHardNat: role !== null,
    };
    trace.end(this.#report);
  }

  #dissolve(now: Instant): void {
    this.#race?.end(now);
    this.#state = { name: "over" };
  }
}
