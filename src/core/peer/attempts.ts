import { hmacSha256 } from "../crypto.ts";
import type { IceCredentials } from "../ice/credentials.ts";
import type { Datagram } from "../machine.ts";
import type { PipeAgreement } from "../pipe/handshake.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { SignalClientEvent } from "../signal/client-event.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import { DirectAttempt } from "./direct-attempt.ts";
import type { HardNatTerms } from "./hard-nat-plan.ts";
import { isOtherInfo } from "./network-change.ts";
import { type AttemptReport, CANCELLED_VERDICTS, type DirectMeta, type PipeId } from "./peer-event.ts";
import type { PeerShared } from "./peer-shared.ts";
import { type AttemptTrace, Trace } from "./trace.ts";

/** What is said of an attempt on the control connection. */
export type AttemptSignal = Extract<
  SignalClientEvent,
  { type: "candidates" | "start-punching" | "introduced" | "punch-rejected" | "punch-acknowledged" }
>;

/** The pipe that attempts are made for. */
export interface AttemptsOptions {
  readonly id: PipeId;
  readonly peer: string;
  readonly channel: number;
  readonly isInitiator: boolean;
  readonly agreement: PipeAgreement;
  readonly iceLocal: IceCredentials;
  readonly terms: HardNatTerms;
  readonly peerInfo: PeerInfo;
  /** It is open, proven, and has its channel. */
  readonly isReady: () => boolean;
  readonly isDirect: () => boolean;
  /** When a datagram came or went last. */
  readonly activeAt: () => Instant;
  /** Has the pipe send sealed challenges there. */
  readonly prove: (now: Instant, address: DirectAddress) => void;
}

/** Datagrams flowed within so long: a direct path is worth another attempt. */
const ACTIVE_MS = 30_000;
/** Attempts that the other end may bring about; DESIGN "Signalling". */
const ATTEMPTS_PER_WINDOW = 8;
const WINDOW_MS = 10_000;
const LAST_ATTEMPT = 0xffff;
const KEPT_TRACES = 8;

/**
 * The attempts of one pipe, one at a time. The initiator begins them: when the pipe opens, when either end's network
 * changes, and after a failure or a loss as `PeerMemory` allows, while datagrams flow. The responder joins them.
 */
export class Attempts {
  readonly #shared: PeerShared;
  readonly #options: AttemptsOptions;
  readonly #traces: Trace[] = [];
  /** When the other end has brought about an attempt. */
  readonly #movedAt: Instant[] = [];
  #peerInfo: PeerInfo;
  #current: DirectAttempt | undefined;
  #number = -1;
  #toldOf: AttemptReport | undefined;
  #verdict = "";
  #isWanted: boolean;
  /** Until then an address from elsewhere is being tried. */
  #notBefore: Instant = Number.NEGATIVE_INFINITY;

  constructor(shared: PeerShared, options: AttemptsOptions) {
    this.#shared = shared;
    this.#options = options;
    this.#peerInfo = options.peerInfo;
    this.#isWanted = options.isInitiator;
  }

  get peerInfo(): PeerInfo {
    return this.#peerInfo;
  }

  get traces(): AttemptTrace[] {
    return this.#traces.map((trace) => trace.snapshot());
  }

  /** Why the pipe stays on the relay. */
  get verdict(): string {
    return this.#shared.whyNot(this.#peerInfo) ?? this.#verdict;
  }

  get isTrying(): boolean {
    return this.#current !== undefined && this.#current.report === undefined;
  }

  /** What the other end's network is, as the server said with the opened channel. */
  learn(peerInfo: PeerInfo): void {
    this.#peerInfo = peerInfo;
  }

  handleSignal(now: Instant, event: AttemptSignal): void {
    const number = event.attempt;
    if (event.type === "candidates") {
      const isNews = isOtherInfo(this.#peerInfo, event.peer);
      this.#peerInfo = event.peer;
      if (number > this.#number) this.#join(now, number);
      else if (isNews) this.#peerChanged(now);
    }
    const current = number === this.#number ? this.#current : undefined;
    switch (event.type) {
      case "candidates":
        current?.handleCandidates(now, event.candidates, event.last, event.peer);
        break;
      case "start-punching":
        current?.startPunching(now, event.delayMs);
        break;
      case "introduced":
        current?.introduced(now, event.role, event.peerReflex, event.delayMs);
        break;
      case "punch-rejected":
        current?.punchRejected(now, event.reason);
        break;
      case "punch-acknowledged":
        break;
      default:
        event satisfies never;
    }
    this.#tell(now);
  }

  /** True: they were asked for by the attempt. */
  socketsOpened(now: Instant, first: number, count: number): boolean {
    const isOurs = this.#current?.socketsOpened(now, first, count) === true;
    this.#tell(now);
    return isOurs;
  }

  /** True: it was a check of the attempt's ICE. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    const isOurs = this.#current?.handleStun(now, datagram) === true;
    if (isOurs) this.#tell(now);
    return isOurs;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    this.#current?.handleProbe(now, datagram);
    this.#tell(now);
  }

  handleTimeout(now: Instant): void {
    this.#current?.handleTimeout(now);
    this.#tell(now);
    if (now >= this.#nextAt()) this.#begin(now, this.#nextNumber());
  }

  nextTimeout(): Instant {
    return Math.min(this.#current?.nextTimeout() ?? NEVER, this.#nextAt());
  }

  /** The attempt has come to this address by itself. */
  hasFound(address: DirectAddress): boolean {
    return this.isTrying && this.#current?.hasFound(address) === true;
  }

  /** The attempt has come to this address, or is about to. */
  expects(address: DirectAddress): boolean {
    return this.isTrying && this.#current?.whoFound(address) !== undefined;
  }

  /** The pipe has proven it: what of the attempt has won it, if anything has. */
  directUp(now: Instant, address: DirectAddress): DirectMeta | undefined {
    this.#isWanted = false;
    const meta = this.#current?.directUp(now, address);
    this.#tell(now);
    return meta;
  }

  /** No attempt until then: something else is being tried. */
  holdUntil(at: Instant): void {
    this.#notBefore = at;
  }

  /**
   * Something about our network is not what it was. `isElsewhere`: whatever is under way has lost its ground. The other
   * end is told, and the initiator begins another attempt, as soon as the memory allows.
   */
  networkChanged(now: Instant, isElsewhere: boolean): void {
    const { isInitiator, isDirect, channel } = this.#options;
    if (isInitiator && isElsewhere) this.cancel(now, "network-changed");
    if (this.isTrying) this.#current?.networkChanged(now);
    else if (!isInitiator && this.#number >= 0) this.#shared.signals.sendCandidates(channel, this.#number, [], true);
    if (isInitiator && (isElsewhere || !isDirect())) this.#isWanted = true;
    this.#tell(now);
  }

  cancel(now: Instant, verdict: string): void {
    this.#current?.cancel(now, verdict);
    this.#tell(now);
  }

  /** When the initiator begins the next one; datagrams that flow make it come sooner. */
  #nextAt(): Instant {
    const { isInitiator, isReady, isDirect, activeAt, peer } = this.#options;
    if (!isInitiator || !isReady() || this.isTrying || this.#shared.whyNot(this.#peerInfo) !== undefined) return NEVER;
    if (this.#nextNumber() > LAST_ATTEMPT) return NEVER;
    const at = Math.max(this.#shared.memory.nextAt(peer), this.#notBefore);
    if (this.#isWanted) return at;
    return isDirect() || at > activeAt() + ACTIVE_MS ? NEVER : at;
  }

  /** Even ones have the roles of hard-NAT as measured, odd ones the other way round: every second try. */
  #nextNumber(): number {
    const next = this.#number + 1;
    const isSwapped = this.#shared.memory.punches(this.#options.peer) % 2 === 1;
    return (next % 2 === 1) === isSwapped ? next : next + 1;
  }

  #join(now: Instant, attempt: number): void {
    if (!this.#options.isReady() || this.#shared.whyNot(this.#peerInfo) !== undefined) return;
    if (this.#mayBeMoved(now)) this.#begin(now, attempt);
  }

  /** What failed with the other end may work now. */
  #peerChanged(now: Instant): void {
    const { isInitiator, isDirect, peer } = this.#options;
    if (!isInitiator || this.isTrying || isDirect() || !this.#mayBeMoved(now)) return;
    this.#shared.memory.forget(peer);
    this.#isWanted = true;
  }

  #mayBeMoved(now: Instant): boolean {
    const moved = this.#movedAt;
    while (moved[0] !== undefined && now - moved[0] >= WINDOW_MS) moved.shift();
    return moved.length < ATTEMPTS_PER_WINDOW && moved.push(now) > 0;
  }

  #begin(now: Instant, attempt: number): void {
    this.cancel(now, "superseded");
    const { id: pipe, peer, channel, isInitiator, agreement, iceLocal, terms, prove } = this.#options;
    const { out, reflex, overall, memory, signals, options, punchSocket: socket } = this.#shared;
    const trace = new Trace(now, attempt);
    this.#traces.push(trace);
    if (this.#traces.length > KEPT_TRACES) this.#traces.shift();
    this.#number = attempt;
    this.#isWanted = false;
    out.events.push({ type: "attempt-started", pipe, attempt, mode: terms.mode });
    this.#current = new DirectAttempt(now, {
      ...{ random: options.random, out, trace, reflex, overall, socket, isInitiator, attempt, terms, prove },
      probeKey: agreement.probeKey,
      ice: { local: credentialsOf(iceLocal, attempt), remote: credentialsOf(agreement.peer.ice, attempt) },
      remembered: memory.worked(peer),
      gather: () => this.#shared.ownNetwork(),
      sendCandidates: (candidates) => void signals.sendCandidates(channel, attempt, candidates, true),
      requestPunch: (at, role, seen) => signals.requestPunch(at, channel, attempt, role, seen),
      acknowledgePunch: () => signals.acknowledgePunch(channel, attempt),
    });
    this.#tell(now);
  }

  #tell(now: Instant): void {
    const report = this.#current?.report;
    if (this.#current?.isOver === true) this.#current = undefined;
    if (report === undefined || this.#toldOf === report) return;
    this.#toldOf = report;
    const { id: pipe, peer, channel } = this.#options;
    const { memory, signals, out } = this.#shared;
    const { winner, role, elapsedMs, verdict, enteredHardNat } = report;
    this.#verdict = verdict;
    if (winner !== null) memory.succeeded(peer, { winner, role, elapsedMs, at: now });
    else if (!CANCELLED_VERDICTS.has(verdict)) memory.failed(now, peer, enteredHardNat);
    signals.result(channel, winner ?? "none", elapsedMs, verdict);
    out.events.push({ type: "attempt-ended", pipe, report });
  }
}

/** RFC 8445 §9: each attempt has its own, made of those in the signed offers so that both ends know them. */
function credentialsOf({ ufrag, pwd }: IceCredentials, attempt: number): IceCredentials {
  if (attempt === 0) return { ufrag, pwd };
  const utf8 = new TextEncoder();
  return {
    ufrag: `${ufrag}/${attempt.toString(36)}`,
    pwd: hmacSha256(utf8.encode(pwd), utf8.encode(`attempt ${attempt}`)).toBase64(),
  };
}
