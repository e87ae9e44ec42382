import { hmacSha256 } from "../crypto.ts";
import type { Candidate } from "../ice/candidate.ts";
import type { IceCredentials } from "../ice/credentials.ts";
import type { Datagram } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { PipeAgreement } from "../pipe/handshake.ts";
import { type DirectAddress, Pipe, type PipeEvent, type PipeOutput, type PipePath } from "../pipe/pipe.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import { DirectAttempt } from "./direct-attempt.ts";
import type { HardNatTerms } from "./hard-nat-plan.ts";
import type { AttemptReport, DirectPath, PipeId } from "./peer-event.ts";
import type { PeerShared } from "./peer-shared.ts";
import { PROOF_MS } from "./proof.ts";
import { type AttemptTrace, type PipeExplanation, Trace } from "./trace.ts";

export interface PeerPipeOptions {
  readonly now: Instant;
  readonly id: PipeId;
  readonly service: string;
  readonly channel: number;
  readonly role: "initiator" | "responder";
  readonly agreement: PipeAgreement;
  readonly iceLocal: IceCredentials;
  readonly terms: HardNatTerms;
  readonly peerInfo: PeerInfo;
}

/** A responder's pipe that nobody has sent a sealed packet on by then was opened by nobody who has the keys. */
export const UNPROVEN_MS = 15_000;
const GREET_MS = 1_000;
/** Datagrams flowed within so long: a direct path is worth another attempt. */
const ACTIVE_MS = 30_000;
/** Attempts that the other end may ask for; DESIGN "Signalling". */
const ATTEMPTS_PER_WINDOW = 8;
const WINDOW_MS = 10_000;
const LAST_ATTEMPT = 0xffff;
const KEPT_TRACES = 8;

/**
 * One end of an open pipe: the sealed `Pipe`, its channel through the server, and the attempts to take it off there.
 * The initiator begins them: when the pipe opens, when its network changes, and after a failure or a loss as
 * `PeerMemory` allows, while datagrams flow. The responder joins them, once the initiator has shown that it has the
 * keys: before that, the offer may have been a recorded one.
 */
export class PeerPipe {
  readonly id: PipeId;
  readonly peer: string;
  readonly service: string;
  readonly channel: number;
  readonly role: "initiator" | "responder";
  readonly #shared: PeerShared;
  readonly #options: PeerPipeOptions;
  readonly #pipe: Pipe;
  readonly #output: PipeOutput = { relay: [], direct: [] };
  readonly #traces: Trace[] = [];
  readonly #askedAt: Instant[] = [];
  #isProven = false;
  #hasChannel = true;
  #closedWith: string | undefined;
  #peerInfo: PeerInfo;
  #attempt: DirectAttempt | undefined;
  #attemptNumber = -1;
  #toldOf: AttemptReport | undefined;
  #wantsAttempt: boolean;
  /** Until then an address from elsewhere is being tried. */
  #attemptFrom: Instant = Number.NEGATIVE_INFINITY;
  #verdict = "";
  #direct: DirectPath | undefined;
  #activeAt: Instant;
  #greetAt: Instant;
  readonly #unprovenUntil: Instant;

  constructor(shared: PeerShared, options: PeerPipeOptions) {
    const { now, id, service, channel, role, agreement, peerInfo } = options;
    const { random, prefer } = shared.options;
    this.#shared = shared;
    this.#options = options;
    this.id = id;
    this.peer = agreement.peer.from;
    this.service = service;
    this.channel = channel;
    this.role = role;
    this.#peerInfo = peerInfo;
    shared.sessions.bind(agreement.receive.session, this);
    this.#pipe = new Pipe({
      ...{ now, agreement, random, prefer, initiator: role === "initiator", keepaliveMs: shared.keepaliveMs },
      takeSession: () => shared.sessions.bind(shared.sessions.take(), this),
      releaseSession: (session) => shared.sessions.release(session),
    });
    this.#activeAt = now;
    this.#wantsAttempt = role === "initiator";
    this.#greetAt = role === "initiator" ? now : NEVER;
    this.#unprovenUntil = now + UNPROVEN_MS;
  }

  /** Why it ended; undefined while it lives. */
  get closedWith(): string | undefined {
    return this.#closedWith;
  }

  /** The other end has shown that it has the keys. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** Neither a channel nor a direct path: what is sent now goes nowhere. */
  get isStranded(): boolean {
    return !this.#hasChannel && this.#pipe.route === "relay";
  }

  get direct(): DirectPath | undefined {
    return this.#direct;
  }

  /** The server has opened the channel that was accepted. */
  accepted(peerInfo: PeerInfo): void {
    this.#peerInfo = peerInfo;
  }

  send(now: Instant, flow: number, datagram: Uint8Array): void {
    this.#activeAt = now;
    this.#pipe.send(now, flow, datagram, this.#output);
    this.#flush(now);
  }

  receive(now: Instant, path: PipePath, packet: Uint8Array): void {
    if (this.#closedWith !== undefined) return;
    const refused = this.#refusals();
    const datagram = this.#pipe.receive(now, path, packet, this.#output);
    if (this.#refusals() === refused) this.#authentic(now, path);
    if (datagram !== undefined) {
      this.#activeAt = now;
      this.#shared.out.datagrams.push({ pipe: this.id, ...datagram });
    }
    this.#flush(now);
  }

  /** An address that may work, from elsewhere than an attempt of this pipe. */
  tryDirect(now: Instant, address: DirectAddress): void {
    this.#attemptFrom = now + PROOF_MS;
    this.#pipe.tryDirect(now, address, this.#output);
    this.#flush(now);
  }

  /** Of this attempt, which the other end may just have begun. */
  handleCandidates(
    now: Instant,
    number: number,
    candidates: readonly Candidate[],
    last: boolean,
    peer: PeerInfo,
  ): void {
    this.#peerInfo = peer;
    if (number > this.#attemptNumber && this.#mayJoin(now)) this.#begin(now, number);
    if (number === this.#attemptNumber) this.#attempt?.handleCandidates(now, candidates, last, peer);
    this.#settle(now);
  }

  startPunching(now: Instant, number: number, delayMs: number): void {
    if (number === this.#attemptNumber) this.#attempt?.startPunching(now, delayMs);
    this.#settle(now);
  }

  introduced(now: Instant, number: number, role: PunchRole, peerReflex: Endpoint, delayMs: number): void {
    if (number === this.#attemptNumber) this.#attempt?.introduced(now, role, peerReflex, delayMs);
    this.#settle(now);
  }

  punchRejected(now: Instant, number: number, reason: string): void {
    if (number === this.#attemptNumber) this.#attempt?.punchRejected(now, reason);
    this.#settle(now);
  }

  socketsOpened(now: Instant, first: number, count: number): boolean {
    const isOurs = this.#attempt?.socketsOpened(now, first, count) === true;
    this.#settle(now);
    return isOurs;
  }

  /** True: it was a check of this pipe's ICE. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    const isOurs = this.#attempt?.handleStun(now, datagram) === true;
    if (isOurs) this.#settle(now);
    return isOurs;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    if (this.#attempt === undefined) return;
    this.#attempt.handleProbe(now, datagram);
    this.#settle(now);
  }

  /** The server has forgotten the channel, or lost the other end. A direct path goes on without. */
  channelLost(now: Instant, reason: string): void {
    if (!this.#hasChannel) return;
    this.#shared.signals.close(this.channel, reason);
    this.#hasChannel = false;
    this.#attempt?.cancel(now, "rendezvous-no-relay");
    this.#settle(now);
    if (this.#direct === undefined) this.#end(now, reason);
  }

  /** Something about our network is not what it was. `isElsewhere`: its own addresses are not. */
  networkChanged(now: Instant, isElsewhere: boolean): void {
    this.#pipe.keepaliveMs = this.#shared.keepaliveMs;
    if (this.role !== "initiator") return;
    if (isElsewhere) this.#attempt?.cancel(now, "network-changed");
    if (isElsewhere || this.#direct === undefined) this.#wantsAttempt = true;
    this.#settle(now);
  }

  handleTimeout(now: Instant): void {
    this.#pipe.handleTimeout(now, this.#output);
    if (!this.#isProven) this.#awaitProof(now);
    this.#flush(now);
    if (this.#closedWith !== undefined) return;
    this.#attempt?.handleTimeout(now);
    this.#settle(now);
    if (now >= this.#nextAttemptAt()) this.#begin(now, this.#nextNumber());
  }

  nextTimeout(now: Instant): Instant {
    if (this.#closedWith !== undefined) return NEVER;
    const proof = this.#isProven ? NEVER : Math.min(this.#greetAt, this.#unprovenUntil);
    const attempt = this.#attempt?.nextTimeout() ?? NEVER;
    return Math.min(this.#pipe.nextTimeout(now), proof, attempt, this.#nextAttemptAt());
  }

  /** Says goodbye on every path and leaves nothing behind. */
  close(now: Instant, reason: string): void {
    if (this.#closedWith !== undefined) return;
    this.#end(now, reason);
    if (this.#hasChannel) this.#shared.signals.close(this.channel, reason);
  }

  /** As `close`, but another pipe of this wish has the direct path now. */
  retire(now: Instant): void {
    this.#direct = undefined;
    this.close(now, "replaced");
  }

  explain(now: Instant): PipeExplanation {
    const { network, memory } = this.#shared;
    const retryAt = this.role === "initiator" && this.#direct === undefined ? memory.nextAt(this.peer) : NEVER;
    return {
      pipe: this.id,
      peer: this.peer,
      service: this.service,
      role: this.role,
      state: "open",
      route: this.#pipe.route,
      direct: this.#direct ?? null,
      relayRttMs: this.#pipe.relayRttMs ?? null,
      directRttMs: this.#pipe.directRttMs ?? null,
      mode: this.#options.terms.mode,
      ownNat: network?.nat ?? { type: "unknown", filtering: null },
      peerNat: { type: this.#peerInfo.nat, filtering: this.#peerInfo.filtering },
      peerReflex: this.#peerInfo.reflex,
      attempts: this.#traces.map((trace): AttemptTrace => trace.snapshot()),
      retryInMs: retryAt === NEVER ? null : Math.max(0, retryAt - now),
      verdict: this.#direct === undefined ? (this.#shared.whyNot(this.#peerInfo) ?? this.#verdict) : "direct",
      counters: this.#pipe.counters,
    };
  }

  /** The first packet proves who is there; one over an address that the attempt has found is the initiator's choice. */
  #authentic(now: Instant, path: PipePath): void {
    if (!this.#isProven) this.#prove();
    if (this.role === "initiator" || path === "relay" || !this.#isTrying) return;
    if (this.#attempt?.whoFound(path) !== undefined) this.#pipe.tryDirect(now, path, this.#output);
  }

  #prove(): void {
    this.#isProven = true;
    if (this.role === "initiator") return;
    const { id: pipe, peer, service, role } = this;
    this.#shared.out.events.push({ type: "opened", pipe, peer, service, role });
  }

  #awaitProof(now: Instant): void {
    if (now >= this.#unprovenUntil) {
      this.close(now, "unproven");
      return;
    }
    if (now < this.#greetAt) return;
    this.#greetAt = now + GREET_MS;
    this.#pipe.greet(now, this.#output);
  }

  /** Of the initiator, whose proof is the answer to its greeting: by then the responder is ready for an attempt, too. */
  #nextAttemptAt(): Instant {
    const isReady = this.role === "initiator" && this.#isProven && this.#hasChannel && this.#closedWith === undefined;
    if (!isReady || this.#isTrying || this.#shared.whyNot(this.#peerInfo) !== undefined) return NEVER;
    if (this.#nextNumber() > LAST_ATTEMPT) return NEVER;
    const at = Math.max(this.#shared.memory.nextAt(this.peer), this.#attemptFrom);
    if (this.#wantsAttempt) return at;
    return this.#direct !== undefined || at > this.#activeAt + ACTIVE_MS ? NEVER : at;
  }

  get #isTrying(): boolean {
    return this.#attempt !== undefined && this.#attempt.report === undefined;
  }

  /** Even ones have the roles of hard-NAT as measured, odd ones the other way round: every second try. */
  #nextNumber(): number {
    const next = this.#attemptNumber + 1;
    const isSwapped = this.#shared.memory.punches(this.peer) % 2 === 1;
    return (next % 2 === 1) === isSwapped ? next : next + 1;
  }

  #mayJoin(now: Instant): boolean {
    const isReady = this.#isProven && this.#hasChannel && this.#closedWith === undefined;
    if (!isReady || this.#shared.whyNot(this.#peerInfo) !== undefined) return false;
    const asked = this.#askedAt;
    while (asked[0] !== undefined && now - asked[0] >= WINDOW_MS) asked.shift();
    return asked.length < ATTEMPTS_PER_WINDOW && asked.push(now) > 0;
  }

  #begin(now: Instant, number: number): void {
    this.#attempt?.cancel(now, "superseded");
    this.#tellAttempt(now);
    const { random } = this.#shared.options;
    const { agreement, iceLocal, terms } = this.#options;
    const { out, reflex, overall, memory, signals } = this.#shared;
    const trace = new Trace(now, number);
    this.#traces.push(trace);
    if (this.#traces.length > KEPT_TRACES) this.#traces.shift();
    this.#attemptNumber = number;
    this.#wantsAttempt = false;
    out.events.push({ type: "attempt-started", pipe: this.id, attempt: number, mode: terms.mode });
    this.#attempt = new DirectAttempt(now, {
      ...{ random, out, trace, reflex, overall, terms, attempt: number, probeKey: agreement.probeKey },
      socket: this.#shared.punchSocket,
      isInitiator: this.role === "initiator",
      ice: { local: credentialsOf(iceLocal, number), remote: credentialsOf(agreement.peer.ice, number) },
      remembered: memory.worked(this.peer),
      gather: () => this.#shared.ownNetwork(),
      sendCandidates: (candidates) => void signals.sendCandidates(this.channel, number, candidates, true),
      requestPunch: (at, role, seen) => signals.requestPunch(at, this.channel, number, role, seen),
      acknowledgePunch: () => signals.acknowledgePunch(this.channel, number),
      prove: (at, address) => this.#pipe.tryDirect(at, address, this.#output),
    });
    this.#settle(now);
  }

  /** What the pipe wants sent, then what became of the attempt. */
  #settle(now: Instant): void {
    const { direct, directRttMs = 0 } = this.#pipe;
    // Another attempt may come to what is in use: there is nothing left to prove.
    if (this.#isTrying && direct !== undefined && this.#attempt?.hasFound(direct) === true)
      this.#directUp(now, direct, directRttMs);
    this.#flush(now);
    this.#tellAttempt(now);
    if (this.#attempt?.isOver === true) this.#attempt = undefined;
  }

  #flush(now: Instant): void {
    const { relay, direct } = this.#output;
    const { channels, transmits } = this.#shared.out;
    if (this.#hasChannel) for (const packet of relay) channels.push({ channel: this.channel, packet });
    for (const transmit of direct) transmits.push(transmit);
    relay.length = 0;
    direct.length = 0;
    for (let event = this.#pipe.pollEvent(); event !== undefined; event = this.#pipe.pollEvent())
      this.#onPipe(now, event);
  }

  #onPipe(now: Instant, event: PipeEvent): void {
    const { out, memory, fans } = this.#shared;
    switch (event.type) {
      case "direct-up":
        this.#directUp(now, event.address, event.rttMs);
        return;
      case "direct-down":
        this.#direct = undefined;
        fans.release(this);
        memory.lost(now, this.peer);
        out.events.push({ type: "direct-down", pipe: this.id });
        if (!this.#hasChannel) this.#end(now, "unreachable");
        return;
      case "route":
        out.events.push({ type: "route", pipe: this.id, route: event.route });
        return;
      case "closed":
        if (this.#hasChannel) this.#shared.signals.close(this.channel, "closed");
        this.#end(now, event.reason);
        return;
      default:
        event satisfies never;
    }
  }

  #directUp(now: Instant, { socket, remote }: DirectAddress, rttMs: number): void {
    const { mode } = this.#options.terms;
    const won = this.#attempt?.directUp(now, { socket, remote });
    const meta = won ?? { winner: "peer" as const, elapsedMs: 0, mode, role: null };
    this.#shared.fans.claim(socket, this);
    this.#direct = { socket, remote, rttMs, meta };
    this.#wantsAttempt = false;
    this.#shared.out.events.push({ type: "direct-up", pipe: this.id, path: this.#direct });
    this.#tellAttempt(now);
  }

  #tellAttempt(now: Instant): void {
    const report = this.#attempt?.report;
    if (report === undefined || this.#toldOf === report) return;
    this.#toldOf = report;
    const { memory, signals, out } = this.#shared;
    const { winner, role, elapsedMs, verdict, enteredHardNat } = report;
    this.#verdict = verdict;
    if (winner !== null) memory.succeeded(this.peer, { winner, role, elapsedMs, at: now });
    // What this end learnt of its network meanwhile may well change the outcome: that is no reason to wait.
    else if (!CANCELLED.has(verdict) && !this.#wantsAttempt) memory.failed(now, this.peer, enteredHardNat);
    if (this.#hasChannel) signals.result(this.channel, winner ?? "none", elapsedMs, verdict);
    out.events.push({ type: "attempt-ended", pipe: this.id, report });
  }

  #end(now: Instant, reason: string): void {
    if (this.#closedWith !== undefined) return;
    this.#closedWith = reason;
    this.#pipe.close(reason, this.#output);
    this.#flush(now);
    this.#attempt?.cancel(now, "closed");
    this.#tellAttempt(now);
    this.#attempt = undefined;
    if (this.#direct !== undefined) this.#shared.out.events.push({ type: "direct-down", pipe: this.id });
    this.#direct = undefined;
    this.#shared.fans.release(this);
  }

  #refusals(): number {
    const { malformed, "wrong-session": wrong, forged, replayed } = this.#pipe.counters.refused;
    return malformed + wrong + forged + replayed;
  }
}

/** Ends of an attempt that say nothing about the next one. */
const CANCELLED: ReadonlySet<string> = new Set(["closed", "superseded", "network-changed", "direct"]);

/** RFC 8445 §9: each attempt has its own, made of those in the signed offers so that both ends know them. */
function credentialsOf({ ufrag, pwd }: IceCredentials, attempt: number): IceCredentials {
  if (attempt === 0) return { ufrag, pwd };
  const utf8 = new TextEncoder();
  return {
    ufrag: `${ufrag}/${attempt.toString(36)}`,
    pwd: hmacSha256(utf8.encode(pwd), utf8.encode(`attempt ${attempt}`)).toBase64(),
  };
}
