import type { Instant } from "../time.ts";
import type { Session } from "./session.ts";

/** Where a pipe ends at the server: a number on the lanes of one session. */
export interface ChannelEnd {
  readonly cn: string;
  readonly sessionId: string;
  /** Unique on the server. */
  readonly channel: number;
}

/** Datagrams wait for a peer that has no lanes. It hears of it at most so often. */
export interface LanesWanted {
  readonly type: "lanes-wanted";
  readonly cn: string;
  readonly sessionId: string;
  readonly packets: number;
}

export const LANES_WANTED_MS = 1_000;

export interface ChannelSwitchOptions {
  /** The session of a peer, made if there is none; undefined: it may have no more. */
  readonly sessionOf: (now: Instant, cn: string, sessionId: string) => Session | undefined;
}

interface Route {
  readonly from: ChannelEnd;
  readonly to: ChannelEnd;
  /** Of `to`, as far as it is known. */
  target: Session | undefined;
}

/**
 * The server's exchange: what comes in on one end of a pipe goes into the queue of the other, of the session whose
 * lanes that one is reached by. It reads none of it. Every datagram is counted for the CN that sent it: as out here,
 * or as dropped; then as in for the CN that gets it.
 *
 * What waits for a peer without lanes waits in its session's queues, within their bounds.
 */
export class ChannelSwitch {
  readonly #options: ChannelSwitchOptions;
  readonly #routes = new Map<number, Route>();
  readonly #askedAt = new WeakMap<Session, Instant>();
  readonly #events: LanesWanted[] = [];

  constructor(options: ChannelSwitchOptions) {
    this.#options = options;
  }

  /** Ends of pipes that lead somewhere. */
  get ends(): number {
    return this.#routes.size;
  }

  open([one, other]: readonly [ChannelEnd, ChannelEnd]): void {
    this.#routes.set(one.channel, { from: one, to: other, target: undefined });
    this.#routes.set(other.channel, { from: other, to: one, target: undefined });
  }

  /** What still waits for either end is given up. */
  close(ends: readonly ChannelEnd[]): void {
    for (const { channel } of ends) {
      const route = this.#routes.get(channel);
      this.#routes.delete(channel);
      route?.target?.closeChannel(route.to.channel);
    }
  }

  /** The server stops: nothing more is taken in, what waits may still leave. */
  clear(): void {
    this.#routes.clear();
  }

  /**
   * A datagram came over a lane of `from`; it is copied, as it points into what the lane brought. Returns the session
   * that has something to send now.
   */
  route(now: Instant, from: Session, channel: number, datagram: Uint8Array): Session | undefined {
    const counters = from.counters.channels.up;
    const route = this.#routes.get(channel);
    // A number is worth nothing to anybody but the one whom it was given.
    if (route === undefined || route.from.cn !== from.clientCn || route.from.sessionId !== from.sessionId) {
      counters.drops.unknown++;
      return undefined;
    }
    const target = this.#targetOf(now, route);
    if (target === undefined) {
      counters.drops.no_session++;
      return undefined;
    }
    counters.outPackets++;
    counters.outBytes += datagram.length;
    target.offerChannel(now, route.to.channel, datagram.slice());
    if (!target.lanes.some((lane) => !lane.saidGoodbye)) this.#wantLanes(now, target);
    return target;
  }

  pollEvent(): LanesWanted | undefined {
    return this.#events.shift();
  }

  #targetOf(now: Instant, route: Route): Session | undefined {
    if (route.target === undefined || route.target.isClosed)
      route.target = this.#options.sessionOf(now, route.to.cn, route.to.sessionId);
    return route.target;
  }

  #wantLanes(now: Instant, session: Session): void {
    if (now - (this.#askedAt.get(session) ?? Number.NEGATIVE_INFINITY) < LANES_WANTED_MS) return;
    this.#askedAt.set(session, now);
    const packets = session.queuedChannelPackets;
    this.#events.push({ type: "lanes-wanted", cn: session.clientCn, sessionId: session.sessionId, packets });
  }
}
