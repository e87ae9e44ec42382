import { randomBytes } from "node:crypto";
import type { UtError } from "../../core/error.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { SignalHub } from "../../core/signal/hub.ts";
import type { Attendee, ConnectionId, HubEvent, HubMessage, PipeEnd } from "../../core/signal/hub-event.ts";
import type { SignalStatus } from "../../core/signal/signal-status.ts";
import type { Hello } from "../../core/wire/control.ts";
import type { FrameErrorKind, PduDecoder } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import type { StunUsers } from "../nat/stun-service.ts";
import { ControlLink } from "./control-link.ts";

export interface SignalServiceOptions {
  readonly log: Log;
  /** UDP port of the server's STUN as peers reach it, 0: it has none. */
  readonly stunPort: number;
}

export interface SignalServiceHooks {
  /** Datagrams are to be carried between both ends. */
  opened(ends: readonly [PipeEnd, PipeEnd]): void;
  /** And no longer. */
  closed(ends: readonly [PipeEnd, PipeEnd]): void;
  /** A control connection broke the protocol. */
  refused(transport: LaneTransport, kind: FrameErrorKind): void;
}

interface Connected {
  readonly link: ControlLink;
  readonly attendee: Attendee;
  /** Why it is being closed, if the server wants it so. */
  reason: string | undefined;
}

/** Lines of one kind about one CN: what it does again and again is told of once a second. */
const QUIET_MS = 1_000;
/** The longest that `setTimeout` takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Control connections in `ut server`: drives the hub with real connections and the clock, and tells the log what came
 * of it. What a peer says reaches other peers only through the hub; here nothing is decided.
 */
export class SignalService implements StunUsers, Disposable {
  readonly #hub: SignalHub;
  readonly #log: Log;
  readonly #hooks: SignalServiceHooks;
  readonly #connected = new Map<ConnectionId, Connected>();
  /** Who is found under a CN. */
  readonly #registered = new Map<string, ConnectionId>();
  /** By CN, for as long as the process lives; who has a certificate is known by then. */
  readonly #quiet = new Map<string, DebouncedLog>();
  readonly #results = { ice: 0, hardnat: 0, none: 0 };
  #lastId = 0;
  #timer: Timer | undefined;
  #stopping = false;
  /** Of a drain: the last connection is gone. */
  #emptied: (() => void) | undefined;

  constructor({ log, stunPort }: SignalServiceOptions, hooks: SignalServiceHooks) {
    this.#hub = new SignalHub({ random: (length) => new Uint8Array(randomBytes(length)), stunPort });
    this.#log = log;
    this.#hooks = hooks;
  }

  status(): SignalStatus {
    const { connections, pipes, pendingOpens, members, counters } = this.#hub;
    return { connections, pipes, pendingOpens, members, counters, results: { ...this.#results } };
  }

  /** A connection whose first PDU was this hello; `decoder` may hold more. */
  join(transport: LaneTransport, decoder: PduDecoder, hello: Hello): ControlLink | FrameErrorKind {
    // The empty id belongs to peers that greet nobody.
    if (hello.session_id === "") return "bad_hello";
    const id = ++this.#lastId;
    const { peerCn: cn, remote } = transport;
    const attendee = { cn, sessionId: hello.session_id };
    const link = new ControlLink(transport, decoder, {
      received: (signal) => this.#act(() => this.#hub.received(now(), id, signal)),
      writable: (isWritable) => this.#act(() => this.#hub.setWritable(id, isWritable)),
      refused: (kind) => this.#hooks.refused(transport, kind),
      closed: (error) => this.#closed(id, error),
    });
    this.#connected.set(id, { link, attendee, reason: undefined });
    this.#quietly(cn).info("control_open", { session_id: attendee.sessionId, remote, node: hello.node });
    link.greet(hello.session_id);
    this.#act(() => {
      this.#hub.connected(now(), id, attendee);
      // The greeting may have filled the socket before the hub knew whose it is.
      this.#hub.setWritable(id, link.isWritable);
    });
    if (this.#stopping) this.#end(id, "shutdown");
    return link;
  }

  passwordOf(username: string): string | undefined {
    return this.#hub.stunPassword(username);
  }

  observed(username: string, from: Endpoint): void {
    this.#act(() => this.#hub.observed(now(), username, from));
  }

  /** Datagrams wait for lanes of this session. */
  lanesWanted(attendee: Attendee, packets: number): void {
    this.#act(() => this.#hub.lanesWanted(now(), attendee, packets));
  }

  /** Say goodbye to all, and wait until they are gone. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    for (const id of [...this.#connected.keys()]) this.#end(id, "shutdown");
    if (this.#connected.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#emptied = resolve;
    await unlessAborted(promise, deadline);
  }

  [Symbol.dispose](): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    for (const { link } of [...this.#connected.values()]) link.transport.terminate();
    for (const log of this.#quiet.values()) log.flush();
  }

  /** Do something to the hub, then what it wants done. */
  #act(change: () => void): void {
    change();
    for (let event = this.#hub.pollEvent(); event !== undefined; event = this.#hub.pollEvent()) this.#handle(event);
    for (let next = this.#hub.pollMessage(); next !== undefined; next = this.#hub.pollMessage()) this.#send(next);
    clearTimeout(this.#timer);
    const at = this.#hub.nextTimeout();
    if (this.#stopping || !Number.isFinite(at)) return;
    this.#timer = setTimeout(
      () => this.#act(() => this.#hub.handleTimeout(now())),
      Math.min(Math.max(0, at - now()), MAX_TIMER_MS),
    );
  }

  #send({ to, signal }: HubMessage): void {
    const connected = this.#connected.get(to);
    if (connected === undefined) return;
    const { link, attendee } = connected;
    link.send(signal);
    if (signal.type === "punch_introduce")
      this.#quietly(attendee.cn).info("punch_introduce", { hardnat_role: signal.role, attempt: signal.attempt });
    if (signal.type === "punch_reject")
      this.#quietly(attendee.cn).info("punch_reject", { reason: signal.reason, attempt: signal.attempt });
  }

  #handle(event: HubEvent): void {
    switch (event.type) {
      case "evict":
        this.#end(event.id, event.reason);
        return;
      case "registered":
        this.#register(event.attendee, event.node);
        return;
      case "opened":
        this.#pipeLog(event.ends).info("pipe_open", { peer: event.ends[1].cn, service: event.service });
        this.#hooks.opened(event.ends);
        return;
      case "closed":
        this.#pipeLog(event.ends).info("pipe_close", { peer: event.ends[1].cn, reason: event.reason });
        this.#hooks.closed(event.ends);
        return;
      case "failed":
        this.#quietly(event.from).warn("pipe_fail", { peer: event.to, reason: event.reason, by: event.by });
        return;
      case "result": {
        const { from, peer, winner, elapsedMs, cause } = event;
        this.#results[winner] += 1;
        this.#quietly(from).info("pipe_result", { peer, winner, elapsed_ms: Math.round(elapsedMs), cause });
        return;
      }
      default:
        event satisfies never;
    }
  }

  #register({ cn, sessionId }: Attendee, node: string): void {
    for (const [id, { attendee }] of this.#connected)
      if (attendee.cn === cn && attendee.sessionId === sessionId) this.#registered.set(cn, id);
    this.#quietly(cn).info("peer_registered", { session_id: sessionId, node });
  }

  #end(id: ConnectionId, reason: string): void {
    const connected = this.#connected.get(id);
    if (connected === undefined) return;
    connected.reason ??= reason;
    connected.link.goodbye(reason);
  }

  #closed(id: ConnectionId, error: UtError | undefined): void {
    const connected = this.#connected.get(id);
    if (connected === undefined) return;
    this.#connected.delete(id);
    const { attendee, reason, link } = connected;
    const { cn, sessionId } = attendee;
    const { remote } = link.transport;
    this.#quietly(cn).info("control_close", { session_id: sessionId, remote, reason, err: error });
    if (this.#registered.get(cn) === id) {
      this.#registered.delete(cn);
      this.#quietly(cn).info("peer_gone", { session_id: sessionId });
    }
    this.#act(() => this.#hub.disconnected(now(), id));
    if (this.#connected.size === 0) this.#emptied?.();
  }

  /** Lines about a pipe stand under its initiator's name. */
  #pipeLog([initiator]: readonly [PipeEnd, PipeEnd]): DebouncedLog {
    return this.#quietly(initiator.cn);
  }

  #quietly(cn: string): DebouncedLog {
    const known = this.#quiet.get(cn);
    if (known !== undefined) return known;
    const log = debounced(this.#log.child({ client_cn: cn }), QUIET_MS, now);
    this.#quiet.set(cn, log);
    return log;
  }
}
