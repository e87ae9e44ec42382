import type { UtError } from "../../core/error.ts";
import type { Instant } from "../../core/time.ts";
import { MAX_CHANNEL_DATAGRAM_BYTES } from "../../core/tunnel/channels.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { LaneSlot } from "../../core/tunnel/lane-pool.ts";
import type { Session } from "../../core/tunnel/session.ts";
import type { SessionStatus } from "../../core/tunnel/status.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { Log } from "../../io/log/log.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import { WakeTimer } from "../../io/wake-timer.ts";
import { Goodbyes } from "./goodbyes.ts";
import { LaneRecords } from "./lane-records.ts";
import { LaneTuner, type LaneTuning } from "./lane-tuner.ts";
import { sessionStatus } from "./session-status.ts";
import type { TunnelHooks } from "./tunnel-hooks.ts";

/**
 * One session on real sockets: moves datagrams from the queue into lanes as they accept them, bytes from lanes into
 * the session, and keeps the session's one timer. Both roles use it; they differ in who dials and who owns the UDP
 * socket.
 */
export class Tunnel {
  readonly session: Session;
  readonly #hooks: TunnelHooks;
  readonly #log: Log;
  /** How long lanes have been there, and why others are gone. */
  readonly records = new LaneRecords();
  readonly #transports = new Map<Lane, LaneTransport>();
  readonly #tuner: LaneTuner;
  /** Reused for every batch towards UDP. */
  readonly #out: Uint8Array[] = [];
  #pumpDue = false;
  /** When the turn of the event loop began whose end will pump. */
  #turnAt: Instant = Number.NEGATIVE_INFINITY;
  readonly #timer = new WakeTimer(() => this.#timeout());
  readonly #goodbyes: Goodbyes;
  #draining = false;
  /** Replaced each time that something which `drain` waits for may have happened. */
  #progress = Promise.withResolvers<void>();

  constructor(session: Session, tuning: LaneTuning, hooks: TunnelHooks, log: Log) {
    this.session = session;
    this.#hooks = hooks;
    this.#log = log;
    this.#tuner = new LaneTuner(session, tuning, log, () => this.wake());
    this.#goodbyes = new Goodbyes({ session, transports: this.#transports, flush: (lane) => this.flush(lane) });
  }

  /** One datagram from the local UDP side. It is kept, not copied. Returns when it came; undefined: it was not taken. */
  offer(datagram: Uint8Array): Instant | undefined {
    // A node that stops takes nothing more in; what it took it still delivers.
    if (this.#draining) return undefined;
    this.wake();
    const dropped = this.session.offer(this.#turnAt, datagram);
    if (dropped > 0) this.#log.warn("queue_drop_oldest", { queue_packets: this.session.queue.packets });
    else if (dropped < 0) this.#log.warn("pdu_too_large", { bytes: datagram.length });
    return this.#turnAt;
  }

  /** One datagram for the other end of `channel`. It is kept, not copied. Returns and undefined as of `offer`. */
  offerChannel(channel: number, datagram: Uint8Array): Instant | undefined {
    if (this.#draining) return undefined;
    this.wake();
    const dropped = this.session.offerChannel(this.#turnAt, channel, datagram);
    if (dropped < 0 && datagram.length > MAX_CHANNEL_DATAGRAM_BYTES)
      this.#log.warn("pdu_too_large", { channel, bytes: datagram.length });
    return this.#turnAt;
  }

  /** A connection is up; the caller has put its greeting into the outbox or will do so at once. */
  add(lane: Lane, transport: LaneTransport): void {
    this.#transports.set(lane, transport);
    this.records.opened(lane, now());
    this.#tuner.added(lane, transport);
    this.flush(lane);
    this.wake();
  }

  /** Bytes from the connection of `lane`. */
  received(lane: Lane, chunk: Uint8Array): void {
    if (lane.error !== undefined) return;
    lane.feed(chunk);
    this.resume(lane);
  }

  /**
   * Go on with what `lane` was fed: after its first PDU was looked at elsewhere, or from `received`. `atDatagram`: the
   * PDU that was looked at is a datagram, still to be taken.
   */
  resume(lane: Lane, atDatagram = false): void {
    const time = now();
    if (atDatagram) this.session.acceptData(time, lane, this.#out);
    for (;;) {
      const stopped = this.session.receive(time, lane, this.#out);
      if (stopped === "need-more") break;
      const problem = stopped === "control" ? this.#control(lane) : stopped;
      if (problem === undefined) continue;
      this.fail(lane, problem);
      break;
    }
    this.#deliver();
    this.#timer.setBy(this.session.nextTimeout());
  }

  drained(lane: Lane): void {
    lane.writable = true;
    this.flush(lane);
    this.#pump();
  }

  /** The connection of `lane` is gone. */
  closed(lane: Lane, error: UtError | undefined): void {
    if (!this.#transports.delete(lane)) return;
    this.records.closed(lane, now(), error);
    this.#tuner.removed(lane);
    this.#goodbyes.forget(lane);
    this.session.detach(now(), lane, this.#out);
    this.#deliver();
    this.#hooks.laneClosed(lane, error);
    this.#timer.setBy(this.session.nextTimeout());
    this.wake();
    this.progressed();
  }

  /** The framing below the PDUs broke: its transport tells the peer and ends. */
  broken(lane: Lane, kind: FrameErrorKind): void {
    this.session.counters.frameError(kind);
    this.#log.warn("frame_err", { kind, lane_id: lane.id, remote: this.#transports.get(lane)?.remote });
  }

  /** Hostile or broken bytes came over `lane`: tell the peer, end the lane, nothing else. */
  fail(lane: Lane, kind: FrameErrorKind): void {
    lane.error = kind;
    this.broken(lane, kind);
    const transport = this.#transports.get(lane);
    const mayTell = lane.pendingBytes === 0 && !lane.saidGoodbye;
    // What its socket has not taken goes to the other lanes now, so none of it may go out here.
    this.session.detach(now(), lane, this.#out);
    this.wake();
    if (!mayTell || transport === undefined) {
      transport?.terminate();
      return;
    }
    lane.putControl({ type: "err", kind, message: "" });
    lane.saidGoodbye = true;
    lane.wrote(now(), transport.write(lane.outbox, lane.start, lane.end));
    transport.end();
  }

  /** Give a lane up now. */
  drop(lane: Lane): void {
    this.#transports.get(lane)?.terminate();
  }

  /** Write what the lane's outbox holds. */
  flush(lane: Lane): void {
    const transport = this.#transports.get(lane);
    if (transport === undefined || !lane.writable) return;
    while (lane.pendingBytes > 0) {
      const taken = transport.write(lane.outbox, lane.start, lane.end);
      lane.wrote(now(), taken);
      if (!lane.writable) {
        this.#timer.setBy(this.session.nextTimeout());
        return;
      }
    }
    // A peer that never greeted knows no GOODBYE and will not answer: it reads to the end and closes.
    const unheard = lane.saidGoodbye && this.session.caps === undefined;
    if (lane.finished || unheard) transport.end();
  }

  /** Say GOODBYE on every lane, behind what waits. The lanes end when the peer has answered, or has not for too long. */
  goodbye(reason: string): void {
    this.#pump();
    this.#goodbyes.sayAll(reason);
  }

  /**
   * Take nothing more in, send what waits, say GOODBYE. `awaited` tells whether a lane may still come for what waits.
   * Resolves when all lanes are gone or `signal` fires.
   */
  async drain(reason: string, signal: AbortSignal, awaited: () => boolean = () => false): Promise<void> {
    this.#draining = true;
    this.#pump();
    const undelivered = () => this.session.queuedPackets > 0 && (this.session.lanes.length > 0 || awaited());
    while (undelivered() && !signal.aborted) await unlessAborted(this.#progress.promise, signal);
    this.goodbye(reason);
    while (this.#transports.size > 0 && !signal.aborted) await unlessAborted(this.#progress.promise, signal);
  }

  /** End at once. Everything that still waits is delivered to the local side or counted as dropped. */
  dispose(): void {
    this.#draining = true;
    for (const [lane, transport] of [...this.#transports]) {
      transport.terminate();
      this.closed(lane, undefined);
    }
    this.session.close(this.#out);
    this.#deliver();
    this.#timer[Symbol.dispose]();
    this.#goodbyes[Symbol.dispose]();
    this.#tuner.dispose();
  }

  /** What `drain` waits for may have happened: it should look again. */
  progressed(): void {
    if (!this.#draining) return;
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }

  /** `slots`: of all lanes, where this end dials them. */
  status(udp: string, slots?: readonly LaneSlot[]): SessionStatus {
    const { congestion } = this.#tuner;
    return sessionStatus(this.session, { udp, congestion, transports: this.#transports, records: this.records, slots });
  }

  #control(lane: Lane): FrameErrorKind | undefined {
    const message = lane.message;
    if (message === undefined) return undefined;
    switch (message.type) {
      case "goodbye":
        this.#goodbyeHeard(lane, message.reason);
        return undefined;
      case "err":
        this.#log.warn("peer_err", { kind: message.kind, detail: message.message, lane_id: lane.id });
        return undefined;
      case "hello":
      case "hello_ack":
        // What another lane left behind may leave on this one only under its number, that is, from here on.
        this.wake();
        return this.#hooks.control(lane, message);
      default:
        return message satisfies never;
    }
  }

  /** The peer sends nothing more here: send it what waits, answer, and the connection may end. */
  #goodbyeHeard(lane: Lane, reason: string): void {
    this.#log.debug("lane_goodbye", { lane_id: lane.id, reason });
    this.#goodbyes.heard(lane);
    this.#pump();
    this.flush(lane);
  }

  #deliver(): void {
    const { arrivals } = this.session;
    if (arrivals.length > 0) {
      this.#hooks.deliverChannels(arrivals);
      arrivals.length = 0;
    }
    if (this.#out.length === 0) return;
    this.#hooks.deliver(this.#out);
    this.#out.length = 0;
  }

  /**
   * Something may be sent at the end of this turn of the event loop. Datagrams come in batches: look at the queue and at
   * the clock once for each batch, not once for each datagram.
   */
  wake(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    this.#turnAt = now();
    setImmediate(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.session.queuedPackets > 0) {
      this.#tuner.active();
      this.#tuner.refreshWindows(now());
      for (let lane = this.session.nextBatch(now()); lane !== undefined; lane = this.session.nextBatch(now()))
        this.flush(lane);
    }
    this.#goodbyes.answer();
    this.progressed();
  }

  #timeout(): void {
    for (const lane of this.session.handleTimeout(now(), this.#out)) {
      if (lane.error !== undefined) this.fail(lane, lane.error);
      else {
        this.#log.warn("lane_stalled", { lane_id: lane.id, unsent_bytes: lane.pendingBytes });
        this.drop(lane);
      }
    }
    this.#deliver();
    this.#timer.setBy(this.session.nextTimeout());
  }
}
