import { type ChannelEnd, ChannelSwitch, type LanesWanted } from "../../core/tunnel/channel-switch.ts";
import type { ChannelDatagram } from "../../core/tunnel/channels.ts";
import type { Session } from "../../core/tunnel/session.ts";
import { now } from "../../io/clock.ts";

export interface ChannelRelayHooks {
  /** The session of a peer, made if there is none; undefined: it may have no more. */
  sessionOf(cn: string, sessionId: string): Session | undefined;
  /** `session` has something to send. */
  wake(session: Session): void;
}

/** The server's channels: datagrams of pipes between two peers, from the lanes of one to those of the other. */
export class ChannelRelay {
  /** Tells a peer without lanes that datagrams wait for it. */
  onLanesWanted: ((wanted: LanesWanted) => void) | undefined;
  readonly #hooks: ChannelRelayHooks;
  readonly #switch: ChannelSwitch;

  constructor(hooks: ChannelRelayHooks) {
    this.#hooks = hooks;
    this.#switch = new ChannelSwitch({ sessionOf: (_now, cn, sessionId) => hooks.sessionOf(cn, sessionId) });
  }

  /** Ends of pipes that lead somewhere: two for each pipe. */
  get ends(): number {
    return this.#switch.ends;
  }

  open(ends: readonly [ChannelEnd, ChannelEnd]): void {
    this.#switch.open(ends);
  }

  /** What still waits for either end is given up. */
  close(ends: readonly ChannelEnd[]): void {
    this.#switch.close(ends);
  }

  /** Datagrams that came over lanes of `from`. */
  received(from: Session, datagrams: readonly ChannelDatagram[]): void {
    const time = now();
    for (const { channel, datagram } of datagrams) {
      const target = this.#switch.route(time, from, channel, datagram);
      if (target !== undefined) this.#hooks.wake(target);
    }
    for (let wanted = this.#switch.pollEvent(); wanted !== undefined; wanted = this.#switch.pollEvent())
      this.onLanesWanted?.(wanted);
  }

  /** Nothing more is taken in, what waits may still leave. */
  clear(): void {
    this.#switch.clear();
  }
}
