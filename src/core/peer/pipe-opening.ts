import { createIceCredentials, type IceCredentials } from "../ice/credentials.ts";
import { PipeInitiator } from "../pipe/handshake.ts";
import type { RequestId, SignalClientEvent } from "../signal/client-event.ts";
import { type Instant, NEVER } from "../time.ts";
import { explanationOf } from "./explanation.ts";
import { agreeHardNat, hardNatWishes } from "./hard-nat-plan.ts";
import type { PipeId, RefusalKind } from "./peer-event.ts";
import { PeerPipe } from "./peer-pipe.ts";
import type { PeerShared } from "./peer-shared.ts";
import type { PipeExplanation } from "./trace.ts";

type Opened = Extract<SignalClientEvent, { type: "opened" }>;

interface Early {
  readonly flow: number;
  readonly datagram: Uint8Array;
}

/** An offer that is under way. */
interface Asking {
  readonly requestId: RequestId;
  readonly initiator: PipeInitiator;
  readonly session: number;
  readonly ice: IceCredentials;
}

/** Pauses between tries, doubled; shortened at random, so that a server that comes back is not asked by all at once. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;
/** The pipe was open until now: the server has restarted, or the other end. */
const LOST_PAUSE_MS = 250;
/** Datagrams that wait for the pipe; older ones go first, as a tunnel repeats its newest. */
export const MAX_EARLY = 64;
/** How long the path of a predecessor is left to it, at most. */
const HANDOVER_MS = 5_000;

/**
 * The initiator's wish for a pipe, kept until it is taken back: asks for it, judges the answer, waits and asks again.
 * A pipe that lost its channel goes on over its direct path until the next one has taken that over.
 */
export class PipeOpening {
  readonly id: PipeId;
  readonly to: string;
  readonly service: string;
  readonly #shared: PeerShared;
  readonly #early: Early[] = [];
  #asking: Asking | undefined;
  #askAt: Instant;
  #failures = 0;
  /** Why it waits. */
  #reason = "";
  #pipe: PeerPipe | undefined;
  #predecessor: { readonly pipe: PeerPipe; readonly until: Instant } | undefined;

  constructor(now: Instant, shared: PeerShared, id: PipeId, to: string, service: string) {
    this.#shared = shared;
    this.id = id;
    this.to = to;
    this.service = service;
    this.#askAt = now;
  }

  get pipe(): PeerPipe | undefined {
    return this.#pipe;
  }

  /** Every pipe of this wish: the one that is used, and the one before it. */
  get pipes(): PeerPipe[] {
    return [this.#pipe, this.#predecessor?.pipe].filter((pipe) => pipe !== undefined);
  }

  send(now: Instant, flow: number, datagram: Uint8Array): void {
    if (this.#pipe !== undefined && !this.#pipe.isStranded) this.#pipe.send(now, flow, datagram);
    else {
      this.#early.push({ flow, datagram });
      if (this.#early.length > MAX_EARLY) this.#early.shift();
    }
  }

  /** True: it was the answer to this wish, good or not. */
  opened(now: Instant, event: Opened): boolean {
    const asking = this.#asking;
    if (asking?.requestId !== event.requestId) return false;
    this.#asking = undefined;
    const accepted = asking.initiator.accept(event.answer);
    if (!accepted.ok) {
      this.#shared.sessions.release(asking.session);
      this.#shared.signals.close(event.channel, accepted.kind);
      this.#wait(now, accepted.kind, LAST_PAUSE_MS);
      return true;
    }
    const { id, service } = this;
    const { channel, peer: peerInfo } = event;
    const agreement = accepted.value;
    const terms = agreeHardNat(this.#shared.options.hardNat, agreement.peer.hard_nat, "initiator");
    const common = { now, id, service, channel, agreement, terms, peerInfo };
    this.#replace(now, new PeerPipe(this.#shared, { ...common, role: "initiator", iceLocal: asking.ice }));
    return true;
  }

  /** True: it was the end of this wish's request. */
  failed(now: Instant, requestId: RequestId, reason: string, by: "server" | "target"): boolean {
    if (this.#asking?.requestId !== requestId) return false;
    this.#shared.sessions.release(this.#asking.session);
    this.#asking = undefined;
    this.#wait(now, reason, by === "target" ? LAST_PAUSE_MS : this.#pauseMs(), kindOf(reason));
    return true;
  }

  /** Looks after its pipes, and asks when it is time. */
  handleTimeout(now: Instant): void {
    const before = this.#predecessor;
    if (before !== undefined) {
      if (this.#pipe?.direct !== undefined) before.pipe.retire(now);
      else if (now >= before.until) before.pipe.close(now, "replaced");
      if (before.pipe.closedWith !== undefined) this.#predecessor = undefined;
    }
    if (this.#pipe?.closedWith !== undefined) {
      const reason = this.#pipe.closedWith;
      this.#pipe = undefined;
      if (this.#asking === undefined) this.#wait(now, reason, LOST_PAUSE_MS);
    }
    if (now >= this.#askAt) this.#ask(now);
  }

  nextTimeout(): Instant {
    return Math.min(this.#askAt, this.#predecessor?.until ?? NEVER);
  }

  /** The channel of its pipe is no more: another one is asked for, while a direct path carries on. */
  channelLost(now: Instant): void {
    if (this.#asking === undefined) this.#askAt = Math.min(this.#askAt, now + this.#jittered(LOST_PAUSE_MS));
  }

  explain(now: Instant): PipeExplanation {
    if (this.#pipe !== undefined) return this.#pipe.explain(now);
    return explanationOf(this.#shared, {
      ...{ pipe: this.id, peer: this.to, service: this.service, role: "initiator", verdict: this.#reason },
      state: this.#asking === undefined ? "waiting" : "opening",
      retryInMs: this.#askAt === NEVER ? null : Math.max(0, this.#askAt - now),
    });
  }

  end(now: Instant, reason: string): void {
    if (this.#asking !== undefined) {
      this.#shared.signals.cancel(this.#asking.requestId);
      this.#shared.sessions.release(this.#asking.session);
    }
    this.#asking = undefined;
    this.#askAt = NEVER;
    this.#early.length = 0;
    for (const pipe of this.pipes) pipe.close(now, reason);
  }

  #ask(now: Instant): void {
    this.#askAt = NEVER;
    const { identity, random, hardNat } = this.#shared.options;
    const wishes = hardNatWishes(hardNat);
    const ice = createIceCredentials(random);
    const session = this.#shared.sessions.take();
    const terms = { service: this.service, ice, ...(wishes !== undefined && { hardNat: wishes }) };
    const initiator = new PipeInitiator(identity, this.to, session, terms, random);
    const requestId = this.#shared.signals.open(now, this.to, this.service, initiator.offer);
    this.#asking = { requestId, initiator, session, ice };
  }

  #replace(now: Instant, pipe: PeerPipe): void {
    const old = this.#pipe;
    this.#pipe = pipe;
    this.#failures = 0;
    const { id, to: peer, service } = this;
    this.#shared.out.events.push({ type: "opened", pipe: id, peer, service, role: "initiator" });
    if (old?.direct !== undefined) {
      // The hole in the NATs is still open: the next pipe need not punch another one.
      this.#predecessor = { pipe: old, until: now + HANDOVER_MS };
      pipe.tryDirect(now, old.direct);
    } else old?.close(now, "replaced");
    for (const { flow, datagram } of this.#early.splice(0)) pipe.send(now, flow, datagram);
  }

  #wait(now: Instant, reason: string, pauseMs: number, kind: RefusalKind | null = null): void {
    const retryInMs = this.#jittered(pauseMs);
    this.#failures += 1;
    this.#reason = reason;
    this.#askAt = now + retryInMs;
    this.#shared.out.events.push({ type: "waiting", pipe: this.id, reason, kind, retryInMs });
  }

  #pauseMs(): number {
    return Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LAST_PAUSE_MS);
  }

  /** Half of it at least. */
  #jittered(pauseMs: number): number {
    const [byte = 0] = this.#shared.options.random(1);
    return pauseMs * (0.5 + byte / 512);
  }
}

/** Whatever else the server says, or the target through it, is a no. */
function kindOf(reason: string): RefusalKind {
  return reason === "peer-not-reachable" || reason === "transport" ? reason : "rendezvous-rejected";
}
