import type { Datagram } from "../machine.ts";
import { type DirectAddress, Pipe, type PipeEvent, type PipeOutput, type PipePath } from "../pipe/pipe.ts";
import type { SignalClientEvent } from "../signal/client-event.ts";
import { type Instant, NEVER } from "../time.ts";
import { type AttemptSignal, Attempts } from "./attempts.ts";
import { explanationOf } from "./explanation.ts";
import { Greeting } from "./greeting.ts";
import type { PathCounts } from "./path-totals.ts";
import type { DirectPath, PipeId } from "./peer-event.ts";
import type { PeerPipeOptions } from "./peer-pipe-options.ts";
import type { PeerShared } from "./peer-shared.ts";
import { PROOF_MS } from "./proof.ts";
import type { PipeExplanation } from "./trace.ts";

/** What the server says of a pipe. `accepted`: it has opened the channel that was accepted. */
export type PipeSignal = AttemptSignal | Extract<SignalClientEvent, { type: "accepted" }>;

/**
 * One end of an open pipe: the sealed `Pipe`, its channel through the server, and the attempts to take it off there.
 * What the other end sends first shows that it has the keys: before that an offer may have been a recorded one, so the
 * initiator greets, the responder stays unheard of, and neither tries to go direct.
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
  readonly #attempts: Attempts;
  readonly #output: PipeOutput = { relay: [], direct: [] };
  readonly #greeting: Greeting;
  #hasChannel = true;
  #closedWith: string | undefined;
  #direct: DirectPath | undefined;
  #activeAt: Instant;

  constructor(shared: PeerShared, options: PeerPipeOptions) {
    const { now, id, service, channel, role, agreement } = options;
    const { random, prefer } = shared.options;
    const isInitiator = role === "initiator";
    this.#shared = shared;
    this.#options = options;
    this.id = id;
    this.peer = agreement.peer.from;
    this.service = service;
    this.channel = channel;
    this.role = role;
    shared.sessions.bind(agreement.receive.session, this);
    this.#pipe = new Pipe({
      ...{ now, agreement, random, prefer, initiator: isInitiator, keepaliveMs: shared.keepaliveMs },
      takeSession: () => shared.sessions.bind(shared.sessions.take(), this),
      releaseSession: (session) => shared.sessions.release(session),
    });
    this.#attempts = new Attempts(shared, {
      ...options,
      peer: this.peer,
      isInitiator,
      isReady: () => this.isProven && this.#hasChannel && this.#closedWith === undefined,
      isDirect: () => this.#direct !== undefined,
      activeAt: () => this.#activeAt,
      prove: (at, address) => this.#pipe.tryDirect(at, address, this.#output),
    });
    this.#activeAt = now;
    this.#greeting = new Greeting(now, isInitiator);
  }

  /** Why it ended; undefined while it lives. */
  get closedWith(): string | undefined {
    return this.#closedWith;
  }

  /** The other end has shown that it has the keys. */
  get isProven(): boolean {
    return this.#greeting.isProven;
  }

  /** Neither a channel nor a direct path: what is sent now goes nowhere. */
  get isStranded(): boolean {
    return !this.#hasChannel && this.#pipe.route === "relay";
  }

  get direct(): DirectPath | undefined {
    return this.#direct;
  }

  get counts(): PathCounts {
    return this.#pipe.counters;
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
    this.#attempts.holdUntil(now + PROOF_MS);
    this.#pipe.tryDirect(now, address, this.#output);
    this.#flush(now);
  }

  handleSignal(now: Instant, event: PipeSignal): void {
    if (event.type === "accepted") this.#attempts.learn(event.peer);
    else this.#attempts.handleSignal(now, event);
    this.#settle(now);
  }

  socketsOpened(now: Instant, first: number, count: number): boolean {
    const isOurs = this.#attempts.socketsOpened(now, first, count);
    this.#settle(now);
    return isOurs;
  }

  /** True: it was a check of this pipe's ICE. */
  handleStun(now: Instant, datagram: Datagram): boolean {
    const isOurs = this.#attempts.handleStun(now, datagram);
    if (isOurs) this.#settle(now);
    return isOurs;
  }

  handleProbe(now: Instant, datagram: Datagram): void {
    this.#attempts.handleProbe(now, datagram);
    this.#settle(now);
  }

  /** The server has forgotten the channel, or lost the other end. A direct path goes on without. */
  channelLost(now: Instant, reason: string): void {
    if (!this.#hasChannel) return;
    this.#shared.signals.close(this.channel, reason);
    this.#hasChannel = false;
    this.#attempts.cancel(now, "rendezvous-no-relay");
    this.#settle(now);
    if (this.#direct === undefined) this.#end(now, reason);
  }

  /** Something about our network is not what it was. `isElsewhere`: its own addresses are not. */
  networkChanged(now: Instant, isElsewhere: boolean): void {
    this.#pipe.keepaliveMs = this.#shared.keepaliveMs;
    this.#attempts.networkChanged(now, isElsewhere);
    this.#settle(now);
  }

  handleTimeout(now: Instant): void {
    this.#pipe.handleTimeout(now, this.#output);
    const due = this.#greeting.poll(now);
    if (due === "greet") this.#pipe.greet(now, this.#output);
    else if (due === "give-up") this.close(now, "unproven");
    this.#flush(now);
    if (this.#closedWith !== undefined) return;
    this.#attempts.handleTimeout(now);
    this.#settle(now);
  }

  nextTimeout(now: Instant): Instant {
    if (this.#closedWith !== undefined) return NEVER;
    return Math.min(this.#pipe.nextTimeout(now), this.#greeting.nextTimeout(), this.#attempts.nextTimeout());
  }

  /** Says goodbye on every path and leaves nothing behind. */
  close(now: Instant, reason: string): void {
    if (this.#closedWith !== undefined) return;
    try {
      this.#end(now, reason);
    } finally {
      if (this.#hasChannel) this.#shared.signals.close(this.channel, reason);
    }
  }

  /** As `close`, but another pipe of this wish has the direct path now. */
  retire(now: Instant): void {
    this.#direct = undefined;
    this.close(now, "replaced");
  }

  explain(now: Instant): PipeExplanation {
    const { peerInfo, traces, verdict } = this.#attempts;
    const { route, relayRttMs = null, directRttMs = null, counters } = this.#pipe;
    const isRetried = this.role === "initiator" && this.#direct === undefined;
    const { id: pipe, peer, service, role } = this;
    return explanationOf(this.#shared, {
      ...{ pipe, peer, service, role, state: "open", route, relayRttMs, directRttMs, attempts: traces, counters },
      direct: this.#direct ?? null,
      mode: this.#options.terms.mode,
      peerNat: { type: peerInfo.nat, filtering: peerInfo.filtering },
      peerReflex: peerInfo.reflex,
      retryInMs: isRetried ? Math.max(0, this.#shared.memory.nextAt(peer) - now) : null,
      verdict: this.#direct === undefined ? verdict : "direct",
    });
  }

  /** The first packet proves who is there; one over an address that the attempt has found is the initiator's choice. */
  #authentic(now: Instant, path: PipePath): void {
    if (this.#greeting.prove()) this.#tellOpened();
    if (this.role === "initiator" || path === "relay") return;
    if (this.#attempts.expects(path)) this.#pipe.tryDirect(now, path, this.#output);
  }

  #tellOpened(): void {
    if (this.role === "initiator") return;
    const { id: pipe, peer, service, role } = this;
    this.#shared.out.events.push({ type: "opened", pipe, peer, service, role });
  }

  #settle(now: Instant): void {
    const { direct, directRttMs = 0 } = this.#pipe;
    // Another attempt may come to what is in use: there is nothing left to prove.
    if (direct !== undefined && this.#attempts.hasFound(direct)) this.#directUp(now, direct, directRttMs);
    this.#flush(now);
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
    const won = this.#attempts.directUp(now, { socket, remote });
    const meta = won ?? { winner: "peer" as const, elapsedMs: 0, mode, role: null };
    this.#shared.fans.claim(socket, this);
    this.#direct = { socket, remote, rttMs, meta };
    this.#shared.out.events.push({ type: "direct-up", pipe: this.id, path: this.#direct });
  }

  #end(now: Instant, reason: string): void {
    if (this.#closedWith !== undefined) return;
    this.#closedWith = reason;
    this.#shared.totals.add(this.#pipe.counters);
    try {
      this.#pipe.close(reason, this.#output);
      this.#flush(now);
      this.#attempts.cancel(now, "closed");
    } finally {
      if (this.#direct !== undefined) this.#shared.out.events.push({ type: "direct-down", pipe: this.id });
      this.#direct = undefined;
      this.#shared.fans.release(this);
    }
  }

  #refusals(): number {
    const { malformed, "wrong-session": wrong, forged, replayed } = this.#pipe.counters.refused;
    return malformed + wrong + forged + replayed;
  }
}
