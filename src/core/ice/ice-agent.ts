import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import type { StunAttributes } from "../stun/attributes.ts";
import { type Integrity, shortTermKey, verifyIntegrity } from "../stun/integrity.ts";
import { BINDING, decodeStun, encodeStun, looksLikeStun, type StunMessage } from "../stun/message.ts";
import { STUN_TIMING, StunTransaction } from "../stun/transaction.ts";
import { type Instant, NEVER } from "../time.ts";
import { type Candidate, candidatePriority, foundationOf, type LocalCandidate, MAX_CANDIDATES } from "./candidate.ts";
import { type CandidatePair, Checklist } from "./checklist.ts";
import { Consent } from "./consent.ts";

export interface IceCredentials {
  readonly ufrag: string;
  readonly pwd: string;
}

export interface IceOptions {
  readonly random: RandomBytes;
  /** The side that opened the pipe controls: it chooses the pair. */
  readonly controlling: boolean;
  readonly local: IceCredentials;
  readonly candidates: readonly LocalCandidate[];
  /** From `start` on; then it has failed. */
  readonly deadlineMs?: number;
}

export type IceEvent =
  /** This pair works both ways and both sides use it. */
  | {
      readonly type: "selected";
      readonly socket: number;
      readonly remote: Candidate;
      readonly rttMs: number | undefined;
    }
  /** `no-pair`: everything was tried; `timeout`: the deadline came first. Both are worth another try, later. */
  | { readonly type: "failed"; readonly cause: "timeout" | "no-pair" }
  /** The peer has not said for 30 s that it still wants to be sent to (RFC 7675): sending has to stop. */
  | { readonly type: "consent-lost" };

/** What did not count, and changed nothing. */
export interface IceCounters {
  checksSent: number;
  /** Not sent, as nothing had come from that address after seven. */
  checksWithheld: number;
  unauthenticated: number;
  malformed: number;
}

/** DESIGN "The direct plane": ICE ends 5 s after it was started. */
export const ICE_DEADLINE_MS = 5_000;
/** Ta, RFC 8445 §14.2: the pace of checks; at least 5 ms. */
const PACE_MS = 20;
/** How long the controlling side waits for something better than the first pair that works. */
const NOMINATION_DELAY_MS = 100;
/** Towards an address that has not answered (DESIGN "Signalling"): nobody can use a peer as a reflector. */
export const MAX_UNANSWERED_CHECKS = 7;

interface Check {
  readonly pair: CandidatePair;
  readonly transaction: StunTransaction;
  /** RFC 8445 §7.2.5.1: the role that the request claimed, to tell which of two 487s still matters. */
  readonly controlling: boolean;
  /** It says USE-CANDIDATE: its answer, and no other, makes the pair the one. */
  readonly nominates: boolean;
  /** A newer check of the pair took over (§7.3.1.4): this one sends nothing more, but its answer still counts. */
  cancelled: boolean;
}

/**
 * Interactive Connectivity Establishment for one data stream of one component (RFC 8445): pairs, paced and triggered
 * checks, peer-reflexive candidates, role conflicts, regular nomination; after that consent (RFC 7675), whose checks
 * keep the NATs' mappings open as well.
 *
 * Both sides are full agents. Candidates are gathered outside (`gatherCandidates`); they may come late (trickle). A
 * restart (§9) is another agent with other credentials on the same sockets, while this one goes on until that has
 * selected a pair. Left out on purpose: components, streams, relays, lite agents, aggressive nomination.
 */
export class IceAgent implements Machine<IceEvent> {
  readonly counters: IceCounters = { checksSent: 0, checksWithheld: 0, unauthenticated: 0, malformed: 0 };
  readonly #options: IceOptions;
  readonly #localKey: Uint8Array;
  readonly #tieBreaker: bigint;
  readonly #checklist: Checklist;
  readonly #locals: LocalCandidate[];
  readonly #remotes: Candidate[] = [];
  readonly #triggered: CandidatePair[] = [];
  readonly #checks = new Map<string, Check>();
  readonly #transmits: Transmit[] = [];
  readonly #events: IceEvent[] = [];
  /** Requests sent to each address that has not answered yet. */
  readonly #unanswered = new Map<string, number>();
  readonly #answered = new Set<string>();
  #controlling: boolean;
  #remote: IceCredentials | undefined;
  #remotesComplete = false;
  #startedAt = NEVER;
  #nextCheckAt = NEVER;
  #nominateAt = NEVER;
  #consent: Consent | undefined;
  #state: "gathering" | "checking" | "selected" | "over" = "gathering";

  constructor(options: IceOptions) {
    this.#options = options;
    this.#controlling = options.controlling;
    this.#localKey = shortTermKey(options.local.pwd);
    this.#tieBreaker = new DataView(options.random(8).buffer).getBigUint64(0);
    this.#checklist = new Checklist(options.controlling);
    this.#locals = [...options.candidates];
  }

  get controlling(): boolean {
    return this.#controlling;
  }

  /** What was tried and how it went, the best pair first: for `ut nat explain`. */
  get pairs(): readonly CandidatePair[] {
    return this.#checklist.pairs;
  }

  /** The other side's credentials, from its signed offer or answer. */
  setRemote(credentials: IceCredentials): void {
    this.#remote = credentials;
  }

  /** Candidates of the other side, as many as are allowed; `last` when no more will come. */
  addRemotes(candidates: readonly Candidate[], last: boolean): void {
    for (const candidate of candidates) {
      if (this.#remotes.length >= MAX_CANDIDATES) break;
      if (this.#remotes.some(({ endpoint }) => sameEndpoint(endpoint, candidate.endpoint))) continue;
      this.#remotes.push(candidate);
      this.#checklist.add(this.#locals, candidate);
    }
    this.#remotesComplete ||= last;
  }

  /** Begins to check. A check of the peer that comes earlier begins it as well. */
  start(now: Instant): void {
    if (this.#state !== "gathering" || this.#remote === undefined) return;
    this.#state = "checking";
    this.#startedAt = now;
    this.#nextCheckAt = now;
    this.handleTimeout(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    if (this.#state === "over" || !looksLikeStun(datagram.payload)) return;
    const decoded = decodeStun(datagram.payload);
    if (!decoded.ok || decoded.message.method !== BINDING || decoded.unknownRequired.length > 0) {
      this.counters.malformed += 1;
      return;
    }
    if (decoded.message.class === "request") this.#requested(now, datagram, decoded.message);
    else this.#answeredBy(now, datagram);
  }

  handleTimeout(now: Instant): void {
    if (this.#state === "checking") {
      for (const check of [...this.#checks.values()]) this.#advance(now, check);
      if (now >= this.#nominateAt) this.#nominate(now);
      if (now >= this.#nextCheckAt) this.#checkNext(now);
      this.#judge(now);
    } else if (this.#consent !== undefined) this.#keepConsent(now, this.#consent);
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): IceEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    if (this.#state === "selected") return this.#consent?.nextTimeout() ?? NEVER;
    if (this.#state !== "checking") return NEVER;
    let earliest = Math.min(this.#nextCheckAt, this.#nominateAt, this.#deadline);
    for (const { transaction } of this.#checks.values()) earliest = Math.min(earliest, transaction.nextTimeout());
    return earliest;
  }

  /** Gives up: nothing is sent or answered any more, and no event comes. */
  stop(): void {
    this.#state = "over";
    this.#checks.clear();
    this.#transmits.length = 0;
    this.#consent = undefined;
  }

  /** Twice as far while a pair that was chosen is being confirmed: the other side may be sending over it already. */
  get #deadline(): Instant {
    const chosen = this.#checklist.pairs.some(({ nominated, state }) => nominated && state !== "failed");
    return this.#startedAt + (this.#options.deadlineMs ?? ICE_DEADLINE_MS) * (chosen ? 2 : 1);
  }

  /** RFC 8445 §7.3. */
  #requested(now: Instant, { socket, from, payload }: Datagram, message: StunMessage): void {
    const { attributes } = message;
    const { ufrag } = this.#options.local;
    const name = this.#remote === undefined ? undefined : `${ufrag}:${this.#remote.ufrag}`;
    const isOurs = name === undefined ? attributes.username?.startsWith(`${ufrag}:`) : attributes.username === name;
    // A stranger gets no answer, not even an error.
    if (!isOurs || attributes.priority === undefined || !verifyIntegrity(payload, this.#localKey)) {
      this.counters.unauthenticated += 1;
      return;
    }
    if (!this.#settleRoles(socket, from, message)) return;
    this.#respond(socket, from, message, { xorMappedAddress: from });
    // Credentials are still on their way: the peer will ask again.
    if (this.#remote === undefined || this.#state === "selected") return;
    this.start(now);
    const pair = this.#checklist.addTriggered(this.#localAt(socket, from), this.#remoteAt(from, attributes.priority));
    if (attributes.useCandidate === true && !this.#controlling) pair.nominated = true;
    if (pair.state === "succeeded") this.#select(now, pair);
    else this.#trigger(now, pair);
  }

  /** §7.3.1.1: false when the peer has to give in, and was told. */
  #settleRoles(socket: number, from: Endpoint, message: StunMessage): boolean {
    const { iceControlling, iceControlled } = message.attributes;
    const theirs = this.#controlling ? iceControlling : iceControlled;
    if (theirs === undefined) return true;
    const weControl = this.#tieBreaker >= theirs;
    if (weControl === this.#controlling) {
      this.#respond(socket, from, message, { errorCode: { code: 487, reason: "Role Conflict" } });
      return false;
    }
    this.#switchRole(weControl);
    return true;
  }

  #switchRole(controlling: boolean): void {
    this.#controlling = controlling;
    this.#checklist.controlling = controlling;
    this.#nominateAt = NEVER;
  }

  #respond(socket: number, to: Endpoint, { transactionId }: StunMessage, attributes: StunAttributes): void {
    const kind = attributes.errorCode === undefined ? "success" : "error";
    const message = { class: kind, method: BINDING, transactionId, attributes } as const;
    const payload = encodeStun(message, { integrity: sha1(this.#localKey), fingerprint: true });
    this.#transmits.push({ socket, to, payload });
  }

  /** §7.3.1.3: an address that nobody told is a peer-reflexive candidate; it ends with the request that revealed it. */
  #remoteAt(endpoint: Endpoint, priority: number): Candidate {
    const known = this.#remotes.find((remote) => sameEndpoint(remote.endpoint, endpoint));
    if (known !== undefined) return known;
    const candidate: Candidate = { type: "prflx", foundation: foundationOf("prflx", endpoint), priority, endpoint };
    if (this.#remotes.length < MAX_CANDIDATES) this.#remotes.push(candidate);
    return candidate;
  }

  #localAt(socket: number, remote: Endpoint): LocalCandidate {
    const family = remote.address.includes(":");
    const own = this.#locals.find((one) => one.socket === socket && one.base.address.includes(":") === family);
    if (own !== undefined) return own;
    // A socket without an address that could be told, as on a host with loopback only.
    const base = { address: family ? "::" : "0.0.0.0", port: 0 };
    const foundation = foundationOf("host", base);
    return { type: "host", foundation, priority: candidatePriority("host", 0), endpoint: base, base, socket };
  }

  /** §7.3.1.4. A check under way begins anew: the first one may have died in a NAT that is open only now. */
  #trigger(now: Instant, pair: CandidatePair): void {
    for (const check of this.#checks.values()) if (check.pair === pair) check.cancelled = true;
    pair.state = "waiting";
    if (!this.#triggered.includes(pair)) this.#triggered.push(pair);
    this.#nextCheckAt = Math.min(this.#nextCheckAt, now);
    this.handleTimeout(now);
  }

  #checkNext(now: Instant): void {
    const pair = this.#triggered.shift() ?? this.#checklist.next();
    if (pair === undefined) {
      this.#nextCheckAt = NEVER;
      return;
    }
    this.#nextCheckAt = now + PACE_MS;
    this.#check(now, pair, pair.nominated && this.#controlling);
  }

  #check(now: Instant, pair: CandidatePair, nominate: boolean): void {
    pair.state = "in-progress";
    const transaction = this.#transaction(now, pair, nominate);
    const check = { pair, transaction, controlling: this.#controlling, nominates: nominate, cancelled: false };
    this.#checks.set(transaction.id, check);
    this.#advance(now, check);
  }

  #transaction(now: Instant, { local, remote }: CandidatePair, nominate: boolean): StunTransaction {
    // Invariant: nothing is checked before `setRemote`.
    const { ufrag, pwd } = this.#remote as IceCredentials;
    const role = this.#controlling ? { iceControlling: this.#tieBreaker } : { iceControlled: this.#tieBreaker };
    const attributes: StunAttributes = {
      username: `${ufrag}:${this.#options.local.ufrag}`,
      // §7.1.1: as if this check revealed a peer-reflexive candidate of ours.
      priority: candidatePriority("prflx", (local.priority >>> 8) & 0xffff),
      ...role,
      ...(nominate ? { useCandidate: true } : {}),
    };
    return new StunTransaction({
      now,
      to: remote.endpoint,
      transactionId: this.#options.random(12).toHex(),
      socket: local.socket,
      attributes,
      encode: { integrity: sha1(shortTermKey(pwd)), fingerprint: true },
      timing: { ...STUN_TIMING, lastWait: 2 },
    });
  }

  /** Lets a check send what is due, or end. */
  #advance(now: Instant, { pair, transaction, cancelled }: Check): void {
    transaction.handleTimeout(now);
    const next = transaction.pollTransmit();
    if (next !== undefined && !cancelled) this.#send(next);
    if (transaction.outcome?.kind !== "timeout") return;
    this.#checks.delete(transaction.id);
    if (cancelled) return;
    pair.state = "failed";
    // What was to be the one does not work any more; another may.
    if (pair.nominated && this.#controlling) {
      pair.nominated = false;
      this.#nominate(now);
    }
  }

  #send(transmit: Transmit): void {
    const key = formatEndpoint(transmit.to);
    if (!this.#answered.has(key)) {
      const sent = this.#unanswered.get(key) ?? 0;
      if (sent >= MAX_UNANSWERED_CHECKS) {
        this.counters.checksWithheld += 1;
        return;
      }
      this.#unanswered.set(key, sent + 1);
    }
    this.counters.checksSent += 1;
    this.#transmits.push(transmit);
  }

  /** RFC 8445 §7.2.5. */
  #answeredBy(now: Instant, datagram: Datagram): void {
    if (this.#consent?.handleDatagram(now, datagram)) return;
    const check = [...this.#checks.values()].find(({ transaction }) => transaction.handleDatagram(now, datagram));
    const outcome = check?.transaction.outcome;
    if (check === undefined || outcome === undefined) {
      this.counters.unauthenticated += 1;
      return;
    }
    this.#checks.delete(check.transaction.id);
    if (outcome.kind === "success") {
      this.#answered.add(formatEndpoint(datagram.from));
      this.#succeeded(now, check, outcome.rttMs);
    } else if (outcome.kind === "error" && outcome.code === 487) this.#conflict(now, check);
    else check.pair.state = "failed";
    this.#judge(now);
  }

  #conflict(now: Instant, { pair, controlling }: Check): void {
    if (controlling === this.#controlling) this.#switchRole(!controlling);
    this.#trigger(now, pair);
  }

  #succeeded(now: Instant, { pair, nominates }: Check, rttMs: number | undefined): void {
    // A pair that is being nominated stays so until that is answered.
    if (nominates || !(pair.nominated && this.#controlling)) pair.state = "succeeded";
    this.#checklist.unfreeze(pair.foundation);
    this.#nextCheckAt = Math.min(this.#nextCheckAt, now);
    if (nominates || (pair.nominated && !this.#controlling)) this.#select(now, pair, rttMs);
    else if (this.#controlling && this.#nominateAt === NEVER) this.#nominateAt = now + NOMINATION_DELAY_MS;
  }

  /** §8.1.1: the best pair that works is checked once more, and that check says that it is the one. */
  #nominate(now: Instant): void {
    this.#nominateAt = NEVER;
    const best = this.#checklist.pairs.find(({ state }) => state === "succeeded");
    if (!this.#controlling || best === undefined) return;
    best.nominated = true;
    this.#check(now, best, true);
  }

  #select(now: Instant, pair: CandidatePair, rttMs?: number): void {
    if (!pair.nominated || this.#state !== "checking") return;
    this.#state = "selected";
    this.#checks.clear();
    const { socket } = pair.local;
    this.#events.push({ type: "selected", socket, remote: pair.remote, rttMs });
    this.#consent = new Consent(now, this.#options.random, (at) => this.#transaction(at, pair, false));
  }

  #keepConsent(now: Instant, consent: Consent): void {
    consent.handleTimeout(now);
    for (let next = consent.pollTransmit(); next !== undefined; next = consent.pollTransmit())
      this.#transmits.push(next);
    if (!consent.lost) return;
    this.stop();
    this.#events.push({ type: "consent-lost" });
  }

  #judge(now: Instant): void {
    if (this.#state !== "checking") return;
    const tried = this.#remotesComplete && this.#triggered.length === 0 && this.#checklist.exhausted;
    if (!tried && now < this.#deadline) return;
    this.stop();
    this.#events.push({ type: "failed", cause: tried ? "no-pair" : "timeout" });
  }
}

/** RFC 8445 §7.1.2 leaves no choice of algorithm. */
function sha1(key: Uint8Array): Integrity {
  return { key, algorithm: "sha1" };
}
