import type { PunchRole } from "../punch/probe.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Channel } from "./client-event.ts";
import { MAX_CHANNELS, PUNCH_WAIT_MS } from "./limits.ts";

/** The server answers a request to punch within its own wait, and a way there and back. */
const PUNCH_UNANSWERED_MS = PUNCH_WAIT_MS + 5_000;

/** One end of a pipe as its process sees it: asked for, answered, or open. */
export interface ClientPipe {
  readonly channel: Channel;
  state: "incoming" | "accepted" | "open";
  /** Candidates of this attempt were sent, and the start has not come yet. */
  iceAttempt: number | undefined;
  punch: { readonly attempt: number; readonly role: PunchRole; readonly deadline: Instant } | undefined;
}

/** The channels of one process: what the server says of any other one is not listened to. */
export class ClientPipes {
  readonly #pipes = new Map<Channel, ClientPipe>();

  get isFull(): boolean {
    return this.#pipes.size >= MAX_CHANNELS;
  }

  get(channel: Channel): ClientPipe | undefined {
    return this.#pipes.get(channel);
  }

  open(channel: Channel): ClientPipe | undefined {
    const pipe = this.#pipes.get(channel);
    return pipe?.state === "open" ? pipe : undefined;
  }

  add(channel: Channel, state: ClientPipe["state"]): void {
    this.#pipes.set(channel, { channel, state, iceAttempt: undefined, punch: undefined });
  }

  remove(channel: Channel): void {
    this.#pipes.delete(channel);
  }

  get openChannels(): Channel[] {
    return this.#all.filter(({ state }) => state === "open").map(({ channel }) => channel);
  }

  startPunch(now: Instant, pipe: ClientPipe, attempt: number, role: PunchRole): void {
    pipe.punch = { attempt, role, deadline: now + PUNCH_UNANSWERED_MS };
  }

  /** The requests to punch that nothing came of by `now`; `NEVER` takes them all. They have ended. */
  takePunches(now: Instant): { channel: Channel; attempt: number }[] {
    return this.#all.flatMap((pipe) => {
      if (pipe.punch === undefined || pipe.punch.deadline > now) return [];
      const { attempt } = pipe.punch;
      pipe.punch = undefined;
      return [{ channel: pipe.channel, attempt }];
    });
  }

  /** Those that are not open yet are gone with their connection. */
  takeUnopened(): Channel[] {
    const gone = this.#all.filter(({ state }) => state !== "open").map(({ channel }) => channel);
    for (const channel of gone) this.#pipes.delete(channel);
    return gone;
  }

  nextTimeout(): Instant {
    let next = NEVER;
    for (const { punch } of this.#pipes.values()) next = Math.min(next, punch?.deadline ?? NEVER);
    return next;
  }

  get #all(): ClientPipe[] {
    return [...this.#pipes.values()];
  }
}
