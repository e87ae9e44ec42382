import { type Candidate, formatCandidate, MAX_CANDIDATES } from "../ice/candidate.ts";
import type { RandomBytes } from "../machine.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { SignedOffer } from "../wire/offer.ts";
import type { PeerInfo, Signal, SignalInput } from "../wire/signal.ts";
import type { Channel, RequestId, SignalClientEvent } from "./client-event.ts";
import { type ClientDrops, ClientInbox } from "./client-inbox.ts";
import { ClientPipes } from "./client-pipes.ts";
import { ClientRequests } from "./client-requests.ts";
import { Heartbeat } from "./heartbeat.ts";
import { peerInfoText, UNKNOWN_NETWORK } from "./peer-info.ts";
import { TokenBucket } from "./rate.ts";

export interface SignalClientOptions {
  readonly random: RandomBytes;
  /** Program and version, for the server's log. */
  readonly node: string;
  /** It offers services: it is to be found under its CN. */
  readonly isTarget: boolean;
}

/** Well below `SIGNALS_PER_SECOND` and `SIGNAL_BURST`, so that seconds of it may arrive at once. */
const SENT_PER_SECOND = 40;
const SENT_BURST = 200;
/** More than that waiting means that the server asks without listening. */
const MAX_WAITING = 512;

/**
 * A peer's end of its control connection, over however many connections in a row: what it is told goes out as soon as
 * there is one, requests end in exactly one outcome each, and opened pipes outlive a lost connection. A new one begins
 * with `resume`, so that both ends know the same pipes again; a server that has restarted knows none of them, says so,
 * and they are opened anew by whoever wants them.
 *
 * Left out on purpose: dialling, what offers hold, whether an incoming one is wanted, what happens on direct paths.
 * After every call the owner polls messages and events until there are none, then asks for `nextTimeout`.
 */
export class SignalClient {
  readonly #options: SignalClientOptions;
  readonly #requests = new ClientRequests();
  readonly #pipes = new ClientPipes();
  readonly #events: SignalClientEvent[] = [];
  readonly #inbox: ClientInbox;
  #link: { readonly heartbeat: Heartbeat; readonly pace: TokenBucket; readonly waiting: SignalInput[] } | undefined;
  #now: Instant = 0;
  #info: PeerInfo | undefined;
  #lastRequest = 0;

  constructor(options: SignalClientOptions) {
    this.#options = options;
    this.#inbox = new ClientInbox({
      requests: this.#requests,
      pipes: this.#pipes,
      send: (signal) => void this.#send(signal),
      tell: (event) => this.#tell(event),
    });
  }

  /** What the server said that did not fit what it was asked. */
  get dropped(): Readonly<ClientDrops> {
    return this.#inbox.dropped;
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** To the server and back; null without a connection, or before it was measured. */
  get rttMs(): number | null {
    return this.#link?.heartbeat.rttMs ?? null;
  }

  /** A connection is there and the server has answered its hello. Whatever was there before is over. */
  connected(now: Instant): void {
    if (this.isConnected) this.disconnected(now);
    this.#link = {
      heartbeat: new Heartbeat(now, this.#options.random),
      pace: new TokenBucket(now, SENT_PER_SECOND, SENT_BURST),
      waiting: [],
    };
    this.#send({ type: "resume", channels: this.#pipes.openChannels });
    if (this.#options.isTarget) this.#send({ type: "register", node: this.#options.node });
    if (this.#info !== undefined) this.#send({ type: "peer_info", info: peerInfoText(this.#info) });
    this.handleTimeout(now);
  }

  /** Requests that are under way fail with `transport`, pipes that are not open yet close with it. */
  disconnected(now: Instant): void {
    this.#now = now;
    this.#link = undefined;
    for (const { id, isCancelled } of this.#requests.take(({ isSent }) => isSent))
      if (!isCancelled) this.#fail(id, "transport");
    for (const channel of this.#pipes.takeUnopened()) this.#tell({ type: "closed", channel, reason: "transport" });
    this.#rejectPunches(NEVER);
  }

  /** Tells the server, now or on the next connection, and the other ends with the next candidates. */
  setPeerInfo(now: Instant, info: PeerInfo): void {
    this.#now = now;
    if (this.#info !== undefined && JSON.stringify(this.#info) === JSON.stringify(info)) return;
    this.#info = info;
    this.#withdraw("peer_info");
    this.#send({ type: "peer_info", info: peerInfoText(info) });
  }

  /** Ends with `opened` or `failed`. Waits for a connection for 30 s; `too-many-requests` from 64 on. */
  open(now: Instant, to: string, service: string, offer: SignedOffer): RequestId {
    this.#lastRequest += 1;
    if (this.#requests.isFull) this.#fail(this.#lastRequest, "too-many-requests");
    else this.#requests.add(now, this.#lastRequest, to, service, offer);
    this.handleTimeout(now);
    return this.#lastRequest;
  }

  /** There is no outcome then. */
  cancel(requestId: RequestId): void {
    this.#requests.cancel(requestId);
  }

  /** An `incoming`. False: it is no more. */
  accept(channel: Channel, answer: SignedOffer): boolean {
    const pipe = this.#pipes.get(channel);
    if (pipe?.state !== "incoming") return false;
    pipe.state = "accepted";
    return this.#send({ type: "p2p_accept", channel, answer });
  }

  reject(channel: Channel, reason: string): void {
    if (this.#pipes.get(channel)?.state !== "incoming") return;
    this.#pipes.remove(channel);
    this.#send({ type: "p2p_reject", channel, reason: reason.slice(0, 64) });
  }

  /**
   * To the other end, with the newest `PeerInfo`; `start-punching` comes once both have sent some of `attempt`, or not
   * at all. False: there is no connection, or no such pipe.
   */
  sendCandidates(channel: Channel, attempt: number, candidates: readonly Candidate[], last: boolean): boolean {
    const pipe = this.#pipes.open(channel);
    if (pipe === undefined || !this.isConnected) return false;
    const texts = candidates.slice(0, MAX_CANDIDATES).map(formatCandidate);
    pipe.iceAttempt = attempt;
    const peer = peerInfoText(this.#info ?? UNKNOWN_NETWORK);
    return this.#send({ type: "candidates", channel, attempt, candidates: texts, last, peer });
  }

  /** `reflex`: as the server's STUN port saw it under the credential. Ends with `introduced` or `punch-rejected`. */
  requestPunch(now: Instant, channel: Channel, attempt: number, role: PunchRole, reflex: Endpoint): void {
    this.#now = now;
    const pipe = this.#pipes.open(channel);
    if (pipe?.punch !== undefined) this.#rejectPunch(channel, pipe.punch.attempt);
    if (pipe === undefined || !this.isConnected) this.#rejectPunch(channel, attempt);
    else {
      this.#pipes.startPunch(now, pipe, attempt, role);
      this.#send({ type: "punch_request", channel, attempt, role, reflex: formatEndpoint(reflex) });
    }
  }

  /** Tells the other end that we have begun to punch. */
  acknowledgePunch(channel: Channel, attempt: number): void {
    if (this.#pipes.open(channel) !== undefined) this.#send({ type: "punch_ack", channel, attempt });
  }

  /** For the server's log and counters. */
  result(channel: Channel, winner: "ice" | "hardnat" | "none", elapsedMs: number, cause: string): void {
    if (this.#pipes.open(channel) === undefined) return;
    const elapsed_ms = Math.min(Math.max(0, elapsedMs), 600_000);
    this.#send({ type: "p2p_result", channel, winner, elapsed_ms, cause: cause.slice(0, 64) });
  }

  /** The other end is told; without a connection, as soon as there is one again. No event follows. */
  close(channel: Channel, reason: string): void {
    if (this.#pipes.get(channel) === undefined) return;
    this.#pipes.remove(channel);
    this.#send({ type: "p2p_close", channel, reason: reason.slice(0, 64) });
  }

  received(now: Instant, signal: Signal): void {
    if (this.#link === undefined) return;
    const { heartbeat } = this.#link;
    heartbeat.heard();
    if (signal.type === "pong") heartbeat.pong(now, signal.id);
    else if (signal.type === "ping") this.#answerPing(signal.id);
    else this.#inbox.take(signal);
    this.handleTimeout(now);
  }

  handleTimeout(now: Instant): void {
    this.#now = now;
    for (const { id, isCancelled } of this.#requests.take(({ deadline }) => deadline <= now))
      if (!isCancelled) this.#fail(id, "transport");
    this.#rejectPunches(now);
    if (this.#link === undefined) return;
    for (let next = this.#requests.next(now); next !== undefined; next = this.#requests.next(now)) {
      const { id, to, service, offer } = next;
      this.#send({ type: "open_p2p", request_id: id, to, service, offer });
    }
    const due = this.#link.heartbeat.poll(now);
    if (due === "dead" || this.#link.waiting.length > MAX_WAITING) this.#lose(now);
    // In front of everything: the time that it waits would count as distance.
    else if (due !== undefined) this.#link.waiting.unshift({ type: "ping", id: due });
  }

  /** Nothing may mean: not yet, see `nextTimeout`. */
  pollMessage(): SignalInput | undefined {
    if (this.#link === undefined || this.#link.waiting.length === 0) return undefined;
    return this.#link.pace.take(this.#now) ? this.#link.waiting.shift() : undefined;
  }

  pollEvent(): SignalClientEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    const next = Math.min(this.#requests.nextTimeout(), this.#pipes.nextTimeout());
    if (this.#link === undefined) return next;
    const sending = this.#link.waiting.length === 0 ? NEVER : this.#link.pace.freeAt;
    return Math.min(next, this.#link.heartbeat.nextTimeout(), sending);
  }

  #rejectPunches(now: Instant): void {
    for (const { channel, attempt } of this.#pipes.takePunches(now)) this.#rejectPunch(channel, attempt);
  }

  #rejectPunch(channel: Channel, attempt: number): void {
    this.#tell({ type: "punch-rejected", channel, attempt, reason: "no-session" });
  }

  #fail(requestId: RequestId, reason: string): void {
    this.#tell({ type: "failed", requestId, reason, by: "server" });
  }

  #lose(now: Instant): void {
    this.disconnected(now);
    this.#tell({ type: "lost" });
  }

  #answerPing(id: number): void {
    this.#withdraw("pong");
    this.#send({ type: "pong", id });
  }

  /** Of these only the newest means anything. */
  #withdraw(type: "peer_info" | "pong"): void {
    const waiting = this.#link?.waiting;
    const index = waiting?.findIndex((message) => message.type === type) ?? -1;
    if (index >= 0) waiting?.splice(index, 1);
  }

  #send(signal: SignalInput): boolean {
    this.#link?.waiting.push(signal);
    return this.isConnected;
  }

  #tell(event: SignalClientEvent): void {
    this.#events.push(event);
  }
}
