import type { Datagram, Machine, Transmit } from "../machine.ts";
import { looksSealed, readSession } from "../pipe/packet.ts";
import type { SignalClientEvent } from "../signal/client-event.ts";
import { RECONNECT_GRACE_MS } from "../signal/limits.ts";
import { looksLikeStun } from "../stun/message.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Signal, SignalInput } from "../wire/signal.ts";
import { networkChange } from "./network-change.ts";
import type { PathCounts } from "./path-totals.ts";
import type { ChannelDatagram, FlowDatagram, PeerEvent, PipeId, SocketRequest } from "./peer-event.ts";
import type { PeerNetwork, PeerOptions } from "./peer-options.ts";
import type { PeerPipe, PipeSignal } from "./peer-pipe.ts";
import { PeerShared } from "./peer-shared.ts";
import { answerIncoming } from "./pipe-answering.ts";
import { PipeOpening } from "./pipe-opening.ts";
import { PipeOpenings } from "./pipe-openings.ts";
import { PipeTable } from "./pipe-table.ts";
import type { PipeExplanation } from "./trace.ts";

/**
 * The peer engine, one for each process: pipes to other peers by the name of a service, over the server's lanes from
 * their first datagram, straight from host to host when that can be had (DESIGN "The direct plane"). No failure in here
 * but that of the server and of the other end is ever a loss of connectivity.
 *
 * The shell brings datagrams of the shared sockets and of those that were asked for, packets of channels, and signals;
 * after every call it polls, in this order: sockets, transmits, channels, signals, datagrams, events, and then asks for
 * `nextTimeout`. Left out on purpose: lanes, the control connection, flows and what is behind them.
 */
export class Peer implements Machine<PeerEvent> {
  readonly #shared: PeerShared;
  readonly #openings = new PipeOpenings();
  /** Pipes that others have opened. */
  readonly #answered = new Map<PipeId, PeerPipe>();
  readonly #pipes: PipeTable;
  #server: string | undefined;
  #lastId = 0;
  /** Without a control connection for so long, the server has forgotten our channels. */
  #forgottenAt: Instant = NEVER;
  #now: Instant;

  constructor(options: PeerOptions) {
    this.#shared = new PeerShared(options);
    this.#pipes = new PipeTable(this.#shared);
    this.#now = options.now;
  }

  /** What would have to be 0 when nothing is open: for tests of leaks, and for metrics. */
  get holdings(): { readonly pipes: number; readonly sessions: number; readonly sockets: number } {
    const { sessions, fans } = this.#shared;
    return { pipes: this.#pipes.size, sessions: sessions.count, sockets: fans.count };
  }

  /** What all pipes have carried since the process began. */
  get totals(): PathCounts {
    return this.#pipes.totals();
  }

  /** Before anything else, and whenever any of it changes. */
  setNetwork(now: Instant, network: PeerNetwork): void {
    const { signals, memory, reflex } = this.#shared;
    const before = this.#shared.network;
    this.#shared.network = network;
    signals.setPeerInfo(now, this.#shared.ownInfo());
    const change = before === undefined ? "none" : networkChange(before, network);
    if (change !== "none") {
      const isElsewhere = change === "elsewhere";
      memory.forget();
      if (isElsewhere) reflex.forget();
      this.#pipes.each(now, (pipe) => pipe.networkChanged(now, isElsewhere));
    }
    reflex.refresh(now, this.#shared.punchSocket);
    this.#pump(now);
  }

  /** The control connection is up, its hello answered; `server` is the IP address that it goes to. */
  controlConnected(now: Instant, server: string | undefined): void {
    this.#server = server;
    this.#forgottenAt = NEVER;
    this.#shared.signals.connected(now);
    this.#pump(now);
  }

  controlLost(now: Instant): void {
    this.#shared.signals.disconnected(now);
    this.#forgottenAt = now + RECONNECT_GRACE_MS;
    this.#shared.reflex.setServer(undefined);
    this.#pump(now);
  }

  handleSignal(now: Instant, signal: Signal): void {
    this.#shared.signals.received(now, signal);
    this.#pump(now);
  }

  /** A sealed packet that came over the lanes. */
  handleChannel(now: Instant, { channel, packet }: ChannelDatagram): void {
    const pipe = this.#pipes.get(channel);
    if (pipe !== undefined) this.#receive(now, pipe, () => pipe.receive(now, "relay", packet));
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    const { socket, from, payload } = datagram;
    if (looksSealed(payload)) {
      const pipe = this.#shared.sessions.get(readSession(payload));
      if (pipe !== undefined) this.#receive(now, pipe, () => pipe.receive(now, { socket, remote: from }, payload));
    } else {
      if (!looksLikeStun(payload)) this.#pipes.each(now, (pipe) => pipe.handleProbe(now, datagram));
      else if (this.#shared.reflex.handleDatagram(now, datagram)) this.#timeouts(now);
      else this.#pipes.some(now, (pipe) => pipe.handleStun(now, datagram));
      this.#pump(now);
    }
  }

  /** The answer to an `open` of `pollSockets`: the first `count` of them are there. */
  socketsOpened(now: Instant, first: number, count: number): void {
    const isWanted = this.#pipes.some(now, (pipe) => pipe.socketsOpened(now, first, count));
    if (!isWanted && count > 0) this.#shared.out.closeSockets(first, count);
    this.#pump(now);
  }

  /** A wish that is kept until `close`: opened again, with backoff, whenever the pipe is lost. */
  open(now: Instant, to: string, service: string): PipeId {
    this.#lastId += 1;
    this.#openings.add(new PipeOpening(now, this.#shared, this.#lastId, to, service));
    this.handleTimeout(now);
    return this.#lastId;
  }

  /** Either end's; `closed` follows. */
  close(now: Instant, pipe: PipeId, reason: string): void {
    const answered = this.#answered.get(pipe);
    if (answered !== undefined) this.#pipes.within(now, answered, () => answered.close(now, reason));
    if (this.#openings.end(now, pipe, reason)) this.#shared.out.events.push({ type: "closed", pipe, reason });
    this.#pump(now);
  }

  /** Bulk path. While an initiator's pipe is being opened, the last 64 datagrams wait. False: there is no such pipe. */
  send(now: Instant, pipe: PipeId, flow: number, datagram: Uint8Array): boolean {
    const opening = this.#openings.get(pipe);
    const open = opening?.pipe ?? this.#answered.get(pipe);
    try {
      (opening ?? open)?.send(now, flow, datagram);
    } catch (error) {
      if (open !== undefined) this.#pipes.fail(now, open, error);
    }
    return (opening ?? open) !== undefined;
  }

  handleTimeout(now: Instant): void {
    this.#shared.signals.handleTimeout(now);
    this.#shared.reflex.handleTimeout(now);
    this.#timeouts(now);
    this.#pump(now);
  }

  nextTimeout(): Instant {
    const { signals, reflex } = this.#shared;
    const pipes = Math.min(this.#openings.nextTimeout(), this.#pipes.nextTimeout(this.#now));
    return Math.min(pipes, signals.nextTimeout(), reflex.nextTimeout(), this.#forgottenAt);
  }

  pollSockets(): SocketRequest | undefined {
    return this.#shared.out.sockets.shift();
  }

  pollTransmit(): Transmit | undefined {
    return this.#shared.out.transmits.shift();
  }

  pollChannel(): ChannelDatagram | undefined {
    return this.#shared.out.channels.shift();
  }

  pollSignal(): SignalInput | undefined {
    return this.#shared.signals.pollMessage();
  }

  pollDatagram(): FlowDatagram | undefined {
    return this.#shared.out.datagrams.shift();
  }

  pollEvent(): PeerEvent | undefined {
    return this.#shared.out.events.shift();
  }

  /** What was tried and why the traffic goes where it goes, of every pipe: for `ut nat explain` and `/api/status`. */
  explain(now: Instant): PipeExplanation[] {
    return [...this.#openings.explain(now), ...[...this.#answered.values()].map((pipe) => pipe.explain(now))];
  }

  /** The bulk path in: nothing else is looked after unless the pipe has ended on it. */
  #receive(now: Instant, pipe: PeerPipe, receive: () => void): void {
    this.#now = now;
    const wasProven = pipe.isProven;
    this.#pipes.within(now, pipe, receive);
    if (pipe.closedWith !== undefined || !wasProven) this.#pump(now);
  }

  #timeouts(now: Instant): void {
    if (now >= this.#forgottenAt) {
      this.#forgottenAt = NEVER;
      this.#pipes.each(now, (pipe) => this.#channelLost(now, pipe, "transport"));
    }
    this.#pipes.each(now, (pipe) => pipe.handleTimeout(now));
    this.#openings.handleTimeout(now);
  }

  /** Until nothing follows from anything any more. */
  #pump(now: Instant): void {
    this.#now = now;
    const { reflex, out } = this.#shared;
    while (this.#hear(now) || this.#reap(now));
    for (let next = reflex.pollTransmit(); next !== undefined; next = reflex.pollTransmit()) out.transmits.push(next);
  }

  #hear(now: Instant): boolean {
    const event = this.#shared.signals.pollEvent();
    if (event !== undefined) this.#onSignal(now, event);
    return event !== undefined;
  }

  #reap(now: Instant): boolean {
    const pipe = this.#pipes.takeEnded();
    if (pipe?.closedWith !== undefined) this.#gone(now, pipe, pipe.closedWith);
    return pipe !== undefined;
  }

  #gone(now: Instant, pipe: PeerPipe, reason: string): void {
    if (pipe.role === "initiator") {
      this.#openings.get(pipe.id)?.handleTimeout(now);
      return;
    }
    this.#answered.delete(pipe.id);
    const { id, peer: from, service } = pipe;
    if (pipe.isProven) this.#shared.out.events.push({ type: "closed", pipe: id, reason });
    else this.#shared.out.events.push({ type: "refused", from, service, reason });
  }

  #onSignal(now: Instant, event: SignalClientEvent): void {
    switch (event.type) {
      case "incoming":
        this.#incoming(now, event);
        return;
      case "opened":
        this.#opened(now, event);
        return;
      case "failed":
        this.#openings.failed(now, event);
        return;
      case "lost":
        this.#shared.out.events.push({ type: "control-dead" });
        return;
      case "lanes-wanted":
        this.#shared.out.events.push({ type: "lanes-wanted" });
        return;
      case "stun-credential":
        this.#shared.useCredential(now, this.#server, event);
        return;
      case "registered":
        return;
      default:
        this.#onPipeSignal(now, event);
    }
  }

  #incoming(now: Instant, event: Extract<SignalClientEvent, { type: "incoming" }>): void {
    this.#lastId += 1;
    const pipe = answerIncoming(now, this.#shared, this.#lastId, event);
    if (pipe === undefined) return;
    this.#answered.set(pipe.id, pipe);
    this.#pipes.add(pipe);
  }

  #opened(now: Instant, event: Extract<SignalClientEvent, { type: "opened" }>): void {
    const opening = this.#openings.opened(now, event);
    if (opening === undefined) this.#shared.signals.close(event.channel, "cancelled");
    const pipe = opening?.pipe;
    if (pipe === undefined) return;
    if (pipe.channel === event.channel) this.#pipes.add(pipe);
    // It has something to say at once.
    this.#pipes.within(now, pipe, () => pipe.handleTimeout(now));
  }

  #onPipeSignal(now: Instant, event: PipeSignal | Extract<SignalClientEvent, { type: "closed" }>): void {
    const pipe = this.#pipes.get(event.channel);
    if (pipe === undefined) return;
    this.#pipes.within(now, pipe, () => {
      if (event.type === "closed") this.#channelLost(now, pipe, event.reason);
      else pipe.handleSignal(now, event);
    });
  }

  #channelLost(now: Instant, pipe: PeerPipe, reason: string): void {
    pipe.channelLost(now, reason);
    if (pipe.role === "initiator") this.#openings.get(pipe.id)?.channelLost(now);
  }
}
