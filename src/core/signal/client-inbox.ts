import type { Signal, SignalInput } from "../wire/signal.ts";
import type { OpenedPipe, SignalClientEvent } from "./client-event.ts";
import type { ClientPipe, ClientPipes } from "./client-pipes.ts";
import type { ClientRequests } from "./client-requests.ts";
import { MAX_START_DELAY_MS } from "./limits.ts";

/** What the server said that did not fit what it was asked. */
export interface ClientDrops {
  unexpected: number;
  unknownChannel: number;
  unknownRequest: number;
}

interface ClientParts {
  readonly requests: ClientRequests;
  readonly pipes: ClientPipes;
  readonly send: (signal: SignalInput) => void;
  readonly tell: (event: SignalClientEvent) => void;
}

type Message<Type extends Signal["type"]> = Extract<Signal, { type: Type }>;
type OfPipe = Message<"candidates" | "start_punching" | "punch_introduce" | "punch_reject" | "punch_ack">;

/** What the server says to a peer. It is not trusted: what nobody asked for, and of channels that are not ours, is counted. */
export class ClientInbox {
  readonly dropped: ClientDrops = { unexpected: 0, unknownChannel: 0, unknownRequest: 0 };
  readonly #parts: ClientParts;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  take(signal: Signal): void {
    const { tell } = this.#parts;
    switch (signal.type) {
      case "registered":
        tell({ type: "registered", leaseMs: signal.lease_ms });
        break;
      case "stun_credential":
        tell({ ...signal, type: "stun-credential" });
        break;
      case "lanes_wanted":
        tell({ type: "lanes-wanted", packets: signal.packets });
        break;
      case "p2p_incoming":
        this.#onIncoming(signal);
        break;
      case "p2p_opened":
        if (signal.request_id === undefined) this.#onAccepted(signal);
        else this.#onOpened(signal.request_id, signal);
        break;
      case "p2p_failed":
        this.#onFailed(signal);
        break;
      case "p2p_close":
        this.#onClose(signal);
        break;
      case "candidates":
      case "start_punching":
      case "punch_introduce":
      case "punch_reject":
      case "punch_ack":
        this.#onPipe(signal);
        break;
      default:
        // What only peers say.
        this.dropped.unexpected += 1;
    }
  }

  #onIncoming({ channel, from, service, offer, peer }: Message<"p2p_incoming">): void {
    const { pipes, send, tell } = this.#parts;
    if (pipes.get(channel) !== undefined) this.dropped.unexpected += 1;
    else if (pipes.isFull) send({ type: "p2p_reject", channel, reason: "too-many-channels" });
    else {
      pipes.add(channel, "incoming");
      tell({ type: "incoming", channel, from, service, offer, peer });
    }
  }

  #onAccepted(signal: Message<"p2p_opened">): void {
    const pipe = this.#parts.pipes.get(signal.channel);
    if (pipe?.state !== "accepted") {
      this.dropped.unknownChannel += 1;
      return;
    }
    pipe.state = "open";
    this.#parts.tell({ type: "accepted", ...opened(signal) });
  }

  #onOpened(requestId: number, signal: Message<"p2p_opened">): void {
    const { requests, pipes, send, tell } = this.#parts;
    const { channel, answer } = signal;
    const request = requests.get(requestId);
    if (request === undefined) this.dropped.unknownRequest += 1;
    else if (answer === undefined || pipes.get(channel) !== undefined) this.dropped.unexpected += 1;
    else {
      requests.remove(requestId);
      if (!request.isCancelled && !pipes.isFull) {
        pipes.add(channel, "open");
        tell({ type: "opened", requestId, answer, ...opened(signal) });
        return;
      }
      send({ type: "p2p_close", channel, reason: "cancelled" });
      if (!request.isCancelled) tell({ type: "failed", requestId, reason: "too-many-channels", by: "server" });
    }
  }

  #onFailed({ request_id, reason, by }: Message<"p2p_failed">): void {
    const request = this.#parts.requests.get(request_id);
    if (request === undefined) this.dropped.unknownRequest += 1;
    else {
      this.#parts.requests.remove(request_id);
      if (!request.isCancelled) this.#parts.tell({ type: "failed", requestId: request_id, reason, by });
    }
  }

  #onClose({ channel, reason }: Message<"p2p_close">): void {
    if (this.#parts.pipes.get(channel) === undefined) this.dropped.unknownChannel += 1;
    else {
      this.#parts.pipes.remove(channel);
      this.#parts.tell({ type: "closed", channel, reason });
    }
  }

  #onPipe(signal: OfPipe): void {
    const pipe = this.#parts.pipes.open(signal.channel);
    if (pipe === undefined) this.dropped.unknownChannel += 1;
    else if (!isAwaited(signal, pipe)) this.dropped.unexpected += 1;
    else this.#onDirect(signal, pipe);
  }

  #onDirect(signal: OfPipe, pipe: ClientPipe): void {
    const { tell } = this.#parts;
    const { channel, attempt } = signal;
    switch (signal.type) {
      case "candidates":
        tell({ ...signal });
        break;
      case "punch_ack":
        tell({ type: "punch-acknowledged", channel, attempt });
        break;
      case "start_punching":
        pipe.iceAttempt = undefined;
        tell({ type: "start-punching", channel, attempt, delayMs: soon(signal.delay_ms) });
        break;
      case "punch_reject":
        pipe.punch = undefined;
        tell({ type: "punch-rejected", channel, attempt, reason: signal.reason });
        break;
      case "punch_introduce": {
        // The role is the one that was asked for, whatever the server says.
        const role = pipe.punch?.role ?? signal.role;
        pipe.punch = undefined;
        const delayMs = soon(signal.delay_ms);
        tell({ type: "introduced", channel, attempt, role, peerReflex: signal.peer_reflex, delayMs });
        break;
      }
      default:
        signal satisfies never;
    }
  }
}

/** The server starts only what both ends have asked for, each attempt once. */
function isAwaited({ type, attempt }: OfPipe, { iceAttempt, punch }: ClientPipe): boolean {
  if (type === "candidates" || type === "punch_ack") return true;
  return type === "start_punching" ? iceAttempt === attempt : punch?.attempt === attempt;
}

function opened({ channel, peer, rtt_ms, peer_rtt_ms }: Message<"p2p_opened">): OpenedPipe {
  return { channel, peer, rttMs: rtt_ms, peerRttMs: peer_rtt_ms };
}

function soon(delayMs: number): number {
  return Math.min(delayMs, MAX_START_DELAY_MS);
}
