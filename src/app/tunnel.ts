import type { UtError } from "../core/error.ts";
import { NEVER } from "../core/time.ts";
import type { Lane } from "../core/tunnel/lane.ts";
import type { Session } from "../core/tunnel/session.ts";
import type { SessionStatus } from "../core/tunnel/status.ts";
import type { ControlMessage } from "../core/wire/control.ts";
import type { FrameErrorKind } from "../core/wire/pdu.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport } from "../io/lane-transport.ts";
import type { Log } from "../io/log.ts";
import { LaneTuner, type LaneTuning, laneStatus } from "./lane-tuner.ts";

export interface TunnelHooks {
  /** Datagrams for the local UDP side. They are sent before this returns, or copied. */
  deliver(datagrams: readonly Uint8Array[]): void;
  /** A control message that the session itself has no use for: greeting. */
  control(lane: Lane, message: ControlMessage): FrameErrorKind | undefined;
  /** The lane is gone and detached. */
  laneClosed(lane: Lane, error: UtError | undefined): void;
}

/**
 * One session on real sockets: moves datagrams from the queue into lanes as they accept them, bytes from lanes into
 * the session, and keeps the session's one timer. Both roles use it; they differ in who dials and who owns the UDP
 * socket.
 */
export class Tunnel {
  readonly session: Session;
  readonly #hooks: TunnelHooks;
  readonly #log: Log;
  readonly #transports = new Map<Lane, LaneTransport>();
  readonly #tuner: LaneTuner;
  /** Reused for every batch towards UDP. */
  readonly #out: Uint8Array[] = [];
  #pumpDue = false;
  #timer: Timer | undefined;
  #timerAt = NEVER;
  #draining = false;

  constructor(session: Session, tuning: LaneTuning, hooks: TunnelHooks, log: Log) {
    this.session = session;
    this.#hooks = hooks;
    this.#log = log;
    this.#tuner = new LaneTuner(session, tuning, log, () => this.#pumpSoon());
  }

  /** One datagram from the local UDP side. It is kept, not copied. */
  offer(datagram: Uint8Array): void {
    // A node that stops takes nothing more in; what it took it still delivers.
    if (this.#draining) return;
    const dropped = this.session.offer(now(), datagram);
    if (dropped > 0) this.#log.warn("queue_drop_oldest", { queue_packets: this.session.queue.packets });
    else if (dropped < 0) this.#log.warn("pdu_too_large", { bytes: datagram.length });
    this.#pumpSoon();
  }

  /** A connection is up; the caller has put its greeting into the outbox or will do so at once. */
  add(lane: Lane, transport: LaneTransport): void {
    this.#transports.set(lane, transport);
    this.#tuner.added(lane, transport);
    this.flush(lane);
    this.#pumpSoon();
  }

  /** Bytes from the connection of `lane`. */
  received(lane: Lane, chunk: Uint8Array): void {
    if (lane.error !== undefined) return;
    lane.feed(chunk);
    this.resume(lane);
  }

  /** Go on with what `lane` was fed: after its first PDU was looked at elsewhere, or from `received`. */
  resume(lane: Lane): void {
    const time = now();
    for (;;) {
      const stopped = this.session.receive(time, lane, this.#out);
      if (stopped === "need-more") break;
      const problem = stopped === "control" ? this.#control(lane) : stopped;
      if (problem === undefined) continue;
      this.fail(lane, problem);
      break;
    }
    this.#deliver();
    this.#armTimer();
  }

  drained(lane: Lane): void {
    lane.writable = true;
    this.flush(lane);
    this.#pump();
  }

  /** The connection of `lane` is gone. */
  closed(lane: Lane, error: UtError | undefined): void {
    if (!this.#transports.delete(lane)) return;
    this.#tuner.removed(lane);
    this.session.detach(now(), lane, this.#out);
    this.#deliver();
    this.#hooks.laneClosed(lane, error);
    this.#pumpSoon();
  }

  /** Hostile or broken bytes came over `lane`: tell the peer, end the lane, nothing else. */
  fail(lane: Lane, kind: FrameErrorKind): void {
    lane.error = kind;
    this.session.counters.frameError(kind);
    const transport = this.#transports.get(lane);
    this.#log.warn("frame_err", { kind, lane_id: lane.id, remote: transport?.remote });
    if (!lane.saidGoodbye) lane.putControl({ type: "err", kind, message: "" });
    lane.saidGoodbye = true;
    this.flush(lane);
    if (lane.pendingBytes === 0) transport?.end();
    else transport?.terminate();
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
        this.#armTimer();
        return;
      }
    }
    if (lane.finished) transport.end();
  }

  /** Say GOODBYE on every lane, behind what waits. The lanes end when the peer has answered. */
  goodbye(reason: string): void {
    this.#pump();
    for (const lane of this.session.lanes) {
      lane.sayGoodbye(reason);
      this.flush(lane);
    }
  }

  /** Take nothing more in, send what waits, say GOODBYE. Resolves when all lanes are gone or `signal` fires. */
  async drain(reason: string, signal: AbortSignal): Promise<void> {
    this.#draining = true;
    while (this.session.queuedPackets > 0 && this.session.lanes.length > 0 && !signal.aborted) {
      this.#pump();
      await nextTurn();
    }
    this.goodbye(reason);
    while (this.#transports.size > 0 && !signal.aborted) await nextTurn();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = NEVER;
    this.#tuner.dispose();
    for (const transport of [...this.#transports.values()]) transport.terminate();
  }

  status(udp: string): SessionStatus {
    const { session } = this;
    const time = now();
    return {
      clientCn: session.clientCn,
      sessionId: session.sessionId,
      udp,
      caps: session.caps ?? [],
      congestion: this.#tuner.congestion,
      queue: {
        packets: session.queuedPackets,
        bytes: session.queue.bytes,
        oldestMs: session.queue.oldestMs(time),
      },
      held: {
        packets: session.resequencer?.heldPackets ?? 0,
        bytes: session.resequencer?.heldBytes ?? 0,
      },
      idleMs: time - session.lastDataAt,
      lanes: session.lanes.map((lane) => laneStatus(lane, this.#transports.get(lane))),
    };
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
        return this.#hooks.control(lane, message);
      default:
        return message satisfies never;
    }
  }

  /** The peer sends nothing more here: send it what waits, answer, and the connection may end. */
  #goodbyeHeard(lane: Lane, reason: string): void {
    this.#log.debug("lane_goodbye", { lane_id: lane.id, reason });
    lane.heardGoodbye = true;
    this.#pump();
    lane.sayGoodbye("answer");
    this.flush(lane);
    if (lane.finished) this.#transports.get(lane)?.end();
  }

  #deliver(): void {
    if (this.#out.length === 0) return;
    this.#hooks.deliver(this.#out);
    this.#out.length = 0;
  }

  /** Datagrams come in batches: look at the queue once behind each batch, not once for each datagram. */
  #pumpSoon(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    setImmediate(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.session.queuedPackets === 0) return;
    this.#tuner.active();
    this.#tuner.refreshWindows();
    for (let lane = this.session.nextBatch(now()); lane !== undefined; lane = this.session.nextBatch(now()))
      this.flush(lane);
  }

  #armTimer(): void {
    const at = this.session.nextTimeout();
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#timeout(), Math.max(0, at - now()));
  }

  #timeout(): void {
    this.#timerAt = NEVER;
    for (const lane of this.session.handleTimeout(now(), this.#out)) {
      if (lane.error !== undefined) this.fail(lane, lane.error);
      else {
        this.#log.warn("lane_stalled", { lane_id: lane.id, unsent_bytes: lane.pendingBytes });
        this.drop(lane);
      }
    }
    this.#deliver();
    this.#armTimer();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
