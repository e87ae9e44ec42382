import type { Candidate, LocalCandidate } from "../ice/candidate.ts";
import type { IceCredentials } from "../ice/credentials.ts";
import { IceAgent, type IceEvent } from "../ice/ice-agent.ts";
import type { Datagram, RandomBytes } from "../machine.ts";
import type { NatKind } from "../nat/direct-way.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { PunchBudget } from "../punch/budget.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import { HardNat, type HardNatEvent } from "./hard-nat.ts";
import { type AttemptPlan, type HardNatTerms, planAttempt } from "./hard-nat-plan.ts";
import type { Remembered } from "./memory.ts";
import type { Outbox } from "./outbox.ts";
import type { AttemptReport, DirectMeta } from "./peer-event.ts";
import { type Found, Proof } from "./proof.ts";
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
  readonly last: boolean;
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
  | { readonly name: "won"; readonly kept: number | undefined; readonly until: Instant }
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
  #ownNat: NatKind | undefined;
  #agent: IceAgent | undefined;
  #hardNat: HardNat | undefined;
  #hardNatAt: Instant = NEVER;
  readonly #proof: Proof;
  #isIceFound = false;
  #isHardNatFound = false;
  #iceCause: string | null = null;
  #hardNatCause: string | null = null;
  #wasMediated = false;
  #enteredHardNat = false;
  #report: AttemptReport | undefined;

  constructor(now: Instant, parts: AttemptParts) {
    this.#parts = parts;
    this.#proof = new Proof(parts.isInitiator ? parts.prove : undefined);
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

  /** The other end's NAT, as it said with its candidates. */
  get peer(): PeerInfo | undefined {
    return this.#told?.peer;
  }

  /** Nothing of it is left. */
  get isOver(): boolean {
    return this.#state.name === "over";
  }

  handleCandidates(now: Instant, candidates: readonly Candidate[], last: boolean, peer: PeerInfo): void {
    this.#told ??= { candidates, last, peer };
    if (this.#state.name === "exchanging") this.#decide(now, this.#state.own, this.#told);
    else this.#agent?.addRemotes(candidates, last);
  }

  startPunching(now: Instant, delayMs: number): void {
    if (this.#state.name !== "ready") return;
    this.#wasMediated = true;
    this.#state = { name: "starting", at: now + delayMs };
    this.#parts.trace.step(now, "start", `in ${Math.round(delayMs)} ms`);
    this.handleTimeout(now);
  }

  introduced(now: Instant, role: PunchRole, peerReflex: Endpoint, delayMs: number): void {
    this.#hardNat?.introduced(now, role, peerReflex, delayMs);
    if (this.#hardNat?.wasIntroduced === true) {
      this.#wasMediated = true;
      this.#parts.acknowledgePunch();
    }
    this.handleTimeout(now);
  }

  punchRejected(now: Instant, reason: string): void {
    this.#hardNat?.rejected(now, reason);
    this.handleTimeout(now);
  }

  /** True: the sockets were asked for by this attempt. */
  socketsOpened(now: Instant, first: number, count: number): boolean {
    const isOurs = this.#hardNat?.socketsOpened(now, first, count) === true;
    this.handleTimeout(now);
    return isOurs;
  }

  /** True: it was a check of this attempt's ICE, or the answer to one. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    if (this.#agent?.handleDatagram(now, datagram) !== true) return false;
    // A check that came before the server's word to begin has begun it.
    this.handleTimeout(now);
    return true;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    if (this.#hardNat?.handleDatagram(now, datagram) === true) this.handleTimeout(now);
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

  /** The pipe has proven this address: what won it, unless it was none of this attempt's doing. */
  directUp(now: Instant, address: DirectAddress): DirectMeta | undefined {
    if (this.#report !== undefined) return undefined;
    const winner = this.whoFound(address);
    if (winner === undefined) {
      this.cancel(now, "direct");
      return undefined;
    }
    const { mode } = this.#plan;
    const role = winner === "hardnat" ? (this.#hardNat?.role ?? null) : null;
    this.#parts.trace.step(now, "direct", `${winner}, ${formatEndpoint(address.remote)}`);
    this.#end(now, winner, "direct");
    if (winner === "ice") this.#hardNat?.release(now);
    else this.#endIce();
    this.#proof.end();
    this.#hardNatAt = NEVER;
    this.#state = { name: "won", kept: address.socket, until: now + LINGER_MS };
    return { winner, elapsedMs: now - this.#startedAt, mode, role };
  }

  handleTimeout(now: Instant): void {
    this.#drive(now);
    const state = this.#state;
    switch (state.name) {
      case "gathering":
        if (this.#parts.reflex.isSettled || now >= state.until) this.#exchange(now);
        return;
      case "exchanging":
        if (now >= state.until) this.#fail(now, "peer-not-reachable");
        return;
      case "ready":
        if (now >= state.until) this.#fail(now, "rendezvous-no-relay");
        return;
      case "starting":
        if (now >= state.at) this.#start(now, state.at);
        return;
      case "running":
        this.#run(now);
        return;
      case "won":
        if (now >= state.until || (this.#agent === undefined && this.#hardNat?.isOver !== false)) this.#dissolve(now);
        return;
      case "over":
        return;
      default:
        state satisfies never;
    }
  }

  nextTimeout(): Instant {
    return Math.min(this.#stateTimeout(), this.#agent?.nextTimeout() ?? NEVER, this.#hardNat?.nextTimeout() ?? NEVER);
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
        return Math.min(this.#hardNatAt, this.#proof.nextTimeout());
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
    this.#ownNat = own.nat;
    this.#parts.sendCandidates(own.candidates);
    this.#state = { name: "exchanging", own, until: now + EXCHANGE_MS };
    if (this.#told !== undefined) this.#decide(now, own, this.#told);
  }

  /** Both ends have said what they are: the matrix, and what may help although it says no. */
  #decide(now: Instant, { nat, candidates: ours, isPortMapped }: OwnNetwork, { candidates, last, peer }: Told): void {
    const { terms, isInitiator, attempt, trace } = this.#parts;
    const theirs = { type: peer.nat, filtering: peer.filtering };
    const plan = planAttempt(terms, nat, theirs, { isInitiator, isSwapped: attempt % 2 === 1 });
    const helped = { own: isPortMapped, peerCaps: peer.caps };
    const ice = plan.ice || (plan.mode !== "force" && hasShortcut(ours, candidates, helped));
    this.#plan = { ...plan, ice };
    trace.step(now, "plan", `${nat.type} to ${peer.nat}: ${plan.way}, hard-NAT ${plan.role ?? "no"}`);
    if (!ice && plan.role === undefined) {
      this.#fail(now, nat.type === "blocked" || peer.nat === "blocked" ? "udp-blocked" : "both-symmetric");
      return;
    }
    this.#state = { name: "ready", until: now + START_MS };
    if (!ice) return;
    this.#agent = this.#makeAgent(ours);
    this.#agent.addRemotes(candidates, last);
  }

  #makeAgent(candidates: readonly LocalCandidate[]): IceAgent {
    const { random, isInitiator: controlling, ice } = this.#parts;
    const agent = new IceAgent({ random, controlling, local: ice.local, candidates });
    agent.setRemote(ice.remote);
    return agent;
  }

  #start(now: Instant, at: Instant): void {
    const { mode, role } = this.#plan;
    const { terms, remembered } = this.#parts;
    this.#state = { name: "running" };
    this.#agent?.start(now);
    if (role !== undefined) {
      // What worked the last time need not wait until ICE has failed once more.
      const isAtOnce = this.#agent === undefined || remembered?.winner === "hardnat";
      this.#hardNatAt = isAtOnce ? at : mode === "assist" ? at + terms.assistDelayMs : NEVER;
    }
    this.handleTimeout(now);
  }

  #run(now: Instant): void {
    if (now >= this.#hardNatAt) this.#beginHardNat(now);
    this.#proof.handleTimeout(now);
    if (this.#proof.isOpen || this.#hardNatAt < NEVER) return;
    const isIceTrying = this.#agent !== undefined && !this.#isIceFound;
    const isHardNatTrying = this.#hardNat?.isOver === false && !this.#isHardNatFound;
    if (isIceTrying || isHardNatTrying) return;
    this.#fail(now, this.#proof.hasAny ? "unproven" : "punch-failed");
  }

  /** Lets ICE and hard-NAT send and tell. */
  #drive(now: Instant): void {
    const agent = this.#agent;
    if (agent !== undefined) {
      if (now >= agent.nextTimeout()) agent.handleTimeout(now);
      for (let next = agent.pollTransmit(); next !== undefined; next = agent.pollTransmit())
        this.#parts.out.transmits.push(next);
      for (let event = agent.pollEvent(); event !== undefined; event = agent.pollEvent()) this.#onIce(now, event);
    }
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
        if (this.#plan.role !== undefined && this.#hardNat === undefined) this.#hardNatAt = now;
        return;
      case "consent-lost":
        // From the proof on the pipe's sealed challenges are the consent.
        return;
      default:
        event satisfies never;
    }
  }

  #beginHardNat(now: Instant): void {
    this.#hardNatAt = NEVER;
    const { role } = this.#plan;
    if (role === undefined) return;
    this.#enteredHardNat = true;
    const { requestPunch, terms } = this.#parts;
    const fixed = role === "nat3" ? this.#ownNat?.type : this.#told?.peer.nat;
    this.#hardNat = new HardNat(now, role, {
      ...this.#parts,
      settings: terms.settings,
      portFixed: fixed === "cone" || fixed === "open" ? true : fixed === "symmetric" ? false : undefined,
      request: (at, reflex) => requestPunch(at, role, reflex),
    });
    this.handleTimeout(now);
  }

  #onHardNat(now: Instant, event: HardNatEvent): void {
    if (event.type === "found") {
      this.#isHardNatFound = true;
      this.#proof.add(now, { winner: "hardnat", address: event.address });
      return;
    }
    this.#hardNatCause = event.cause;
  }

  #fail(now: Instant, verdict: string): void {
    this.#end(now, null, verdict);
    this.#dissolve(now);
  }

  #end(now: Instant, winner: Found["winner"] | null, verdict: string): void {
    const { attempt, trace } = this.#parts;
    const { way, mode, role } = this.#plan;
    this.#report = {
      attempt,
      mode,
      way,
      role: this.#enteredHardNat ? (role ?? null) : null,
      winner,
      elapsedMs: now - this.#startedAt,
      iceCause: this.#iceCause,
      hardNatCause: this.#hardNatCause,
      verdict,
      wasMediated: this.#wasMediated,
      enteredHardNat: this.#enteredHardNat,
      packets: this.#hardNat?.packets ?? 0,
    };
    trace.end(this.#report);
  }

  #endIce(): void {
    this.#agent?.stop();
    this.#agent = undefined;
  }

  #dissolve(now: Instant): void {
    this.#hardNat?.release(now, this.#state.name === "won" ? this.#state.kept : undefined);
    this.#endIce();
    this.#proof.end();
    this.#hardNatAt = NEVER;
    this.#state = { name: "over" };
  }
}
