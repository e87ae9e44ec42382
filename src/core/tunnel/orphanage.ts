import type { Instant } from "../time.ts";
import type { ChannelCounters, DirectionCounters } from "./counters.ts";
import type { Orphan } from "./lane.ts";

/** An orphan, and since when it has been one. */
interface Waiting extends Orphan {
  seq: number;
  readonly since: Instant;
}

/** Datagrams that broken lanes left behind, until another takes them. They go before all else, as they are oldest. */
export class Orphanage {
  #waiting: Waiting[] = [];
  #ofChannels = 0;
  readonly #tunnel: DirectionCounters;
  readonly #channels: ChannelCounters;

  constructor(tunnel: DirectionCounters, channels: ChannelCounters) {
    this.#tunnel = tunnel;
    this.#channels = channels;
  }

  get packets(): number {
    return this.#waiting.length;
  }

  /** Those of them that are of channels. */
  get channelPackets(): number {
    return this.#ofChannels;
  }

  get first(): Orphan | undefined {
    return this.#waiting[0];
  }

  push(now: Instant, orphan: Orphan): void {
    this.#waiting.push({ ...orphan, since: now });
    if (orphan.channel >= 0) this.#ofChannels++;
  }

  shift(): void {
    const orphan = this.#waiting.shift();
    if (orphan !== undefined && orphan.channel >= 0) this.#ofChannels--;
  }

  /** Numbers mean nothing any more: what had one leaves without. */
  forgetNumbers(): void {
    for (const orphan of this.#waiting) orphan.seq = -1;
  }

  dropOlderThan(oldest: Instant): void {
    this.#drop(({ since }) => since < oldest, "stale");
  }

  dropChannel(channel: number): void {
    this.#drop((orphan) => orphan.channel === channel, "closed");
  }

  /** To a session with another server: neither numbers nor channels of the one before mean anything there. */
  moveTo(other: Orphanage): void {
    this.#drop(({ channel }) => channel >= 0, "closed");
    for (const { since, ...orphan } of this.#waiting) other.push(since, { ...orphan, seq: -1 });
    this.#waiting = [];
  }

  /** The session ends. One that has a number never will be missed: the numbers end with the session. */
  clear(): void {
    this.forgetNumbers();
    this.#drop(() => true, "closed");
  }

  #drop(goes: (orphan: Waiting) => boolean, reason: "stale" | "closed"): void {
    this.#waiting = this.#waiting.filter((orphan) => {
      if (!goes(orphan)) return true;
      if (orphan.channel >= 0) {
        this.#ofChannels--;
        this.#channels.drops[reason]++;
      }
      // A numbered one leaves a gap, and the receiver counts it as lost from that: counting it here would make two of it.
      else if (orphan.seq < 0) this.#tunnel.drops[reason]++;
      return false;
    });
  }
}
