import type { Candidate, LocalCandidate } from "../ice/candidate.ts";
import type { IceCredentials } from "../ice/credentials.ts";
import type { Datagram, RandomBytes } from "../machine.ts";
import type { NatKind } from "../nat/direct-way.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { PunchBudget } from "../punch/budget.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import { type AttemptPlan, type HardNatTerms, planAttempt } from "./hard-nat-plan.ts";
import type { Remembered } from "./memory.ts";
import type { Outbox } from "./outbox.ts";
import type { AttemptReport, DirectMeta } from "./peer-event.ts";
import type { Found } from "./proof.ts";
import { Race } from "./race.ts";
import type { ServerReflex } from "./server-reflex.ts";
import { hasShortcut } from "./shortcut.ts";
import type { Trace } from "./trace.ts";

export interface AttemptParts {
  readonly random: RandomBytes;
  readonly out: Outbox;
  readonly trace: Trace;
  readonly reflex: ServerReflex;
  readonly overall: PunchBudget;
  /** The shared socket that nat3 punches from. */
  readonly socket: number;
  /** Its side opened the pipe: it controls ICE, and chooses between two addresses that work. */
  readonly isInitiator: boolean;
  readonly attempt: number;
  readonly terms: HardNatTerms;
  readonly probeKey: Uint8Array;
  /** What is known of our network, once the server has been asked for our address. */
  readonly gather: () => OwnNetwork;
  readonly sendCandidates: (candidates: readonly LocalCandidate[]) => void;
  readonly ice: { readonly local: IceCredentials; readonly remote: IceCredentials };
  readonly remembered: Remembered | undefined;
  readonly requestPunch: (now: Instant, role: PunchRole, reflex: Endpoint) => void;
  readonly acknowledgePunch: () => void;
  /** Has the pipe send sealed challenges there. */
  readonly prove: (now: Instant, address: DirectAddress) => void;
}

/** What the other end is told. */
export interface OwnNetwork {
  readonly nat: NatKind;
  readonly isPortMapped: boolean;
  readonly candidates: readonly LocalCandidate[];
}

interface Told {
  readonly candidates: readonly Candidate[];
  readonly isLast: boolean;
  readonly peer: PeerInfo;
}

type State =
  /** Our outside address: the server is asked once more, which also keeps the NAT's mapping. */
  | { readonly name: "gathering"; readonly until: Instant }
  /** For the other end's candidates. */
  | { readonly name: "exchanging"; readonly own: OwnNetwork; readonly until: Instant }
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
  /** Of the other end, which may have been quicker than we. */
  #told: Told | undefined;
  #race: Race | undefined;
  #wasMediated = false;
  #report: AttemptReport | undefined;

  constructor(now: Instant, parts: AttemptParts) {
    this.#parts = parts;
    this.#startedAt = now;
    this.#state = { name: "gathering", until: now + GATHER_MS };
    this.#plan = { way: "unknown", mode: parts.terms.mode, ice: false, role: undefined };
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

  handleCandidates(now: Instant, candidates: readonly Candidate[], isLast: boolean, peer: PeerInfo): void {
    this.#told ??= { candidates, isLast, peer };
    if (this.#state.name === "exchanging") this.#decide(now, this.#state.own, this.#told);
    else this.#race?.addRemotes(candidates, isLast);
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
    const own = this.#parts.gather();
    const list = own.candidates.map(({ type, endpoint }) => `${type} ${formatEndpoint(endpoint)}`).join(", ");
    this.#parts.trace.step(now, "candidates", list);
    this.#parts.sendCandidates(own.candidates);
    this.#state = { name: "exchanging", own, until: now + EXCHANGE_MS };
    if (this.#told !== undefined) this.#decide(now, own, this.#told);
  }

  /** Both ends have said what they are: the matrix, and what may help although it says no. */
  #decide(now: Instant, own: OwnNetwork, { candidates, isLast, peer }: Told): void {
    const { terms, isInitiator, attempt, trace } = this.#parts;
    const { nat, isPortMapped } = own;
    const theirs = { type: peer.nat, filtering: peer.filtering };
    const plan = planAttempt(terms, nat, theirs, { isInitiator, isSwapped: attempt % 2 === 1 });
    const helped = { own: isPortMapped, peerCaps: peer.caps };
    const ice = plan.ice || (plan.mode !== "force" && hasShortcut(own.candidates, candidates, helped));
    this.#plan = { ...plan, ice };
    trace.step(now, "plan", `${nat.type} to ${peer.nat}: ${plan.way}, hard-NAT ${plan.role ?? "no"}`);
    if (!ice && plan.role === undefined) {
      this.cancel(now, nat.type === "blocked" || peer.nat === "blocked" ? "udp-blocked" : "both-symmetric");
      return;
    }
    this.#state = { name: "ready", until: now + START_MS };
    this.#race = new Race(this.#parts, {
      plan: this.#plan,
      own: { nat: nat.type, candidates: own.candidates },
      peer: { nat: peer.nat, candidates, isLast },
    });
  }

  #start(now: Instant, at: Instant): void {
    this.#state = { name: "running" };
    this.#race?.start(now, at);
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
