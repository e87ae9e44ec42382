import type { RandomBytes } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { PunchRole } from "../punch/probe.ts";
import type { Instant } from "../time.ts";
import { uniform } from "../uniform.ts";
import type { PipeEnd } from "./hub-event.ts";
import type { Member } from "./member.ts";

/** One end of a pipe at the server. What it says of the pipe is for the other end alone. */
export interface HubEnd {
  readonly member: Member;
  readonly channel: number;
  readonly pipe: HubPipe;
  /** The newest attempt that it has sent candidates of, and how many. */
  ice: { readonly attempt: number; candidates: number; isStarted: boolean } | undefined;
  /** It wants to punch, and the other end has yet to say so. */
  punch: PunchWish | undefined;
  /** The newest attempt that it was introduced for and has not acknowledged. */
  introduced: number | undefined;
}

export interface PunchWish {
  readonly attempt: number;
  readonly role: PunchRole;
  readonly reflex: Endpoint;
  readonly deadline: Instant;
}

/** Offered to its target, then open. */
export class HubPipe {
  readonly service: string;
  readonly initiator: HubEnd;
  readonly target: HubEnd;
  isOpen = false;

  constructor(service: string, initiator: Member, target: Member, channels: readonly [number, number]) {
    this.service = service;
    this.initiator = this.#end(initiator, channels[0]);
    this.target = this.#end(target, channels[1]);
  }

  get ends(): readonly [HubEnd, HubEnd] {
    return [this.initiator, this.target];
  }

  /** As the world outside the hub knows it. */
  get publicEnds(): readonly [PipeEnd, PipeEnd] {
    return [publicEnd(this.initiator), publicEnd(this.target)];
  }

  other(end: HubEnd): HubEnd {
    return end === this.initiator ? this.target : this.initiator;
  }

  #end(member: Member, channel: number): HubEnd {
    return { member, channel, pipe: this, ice: undefined, punch: undefined, introduced: undefined };
  }
}

/** All pipes of the server. A number means something only to the member whose end it is. */
export class HubPipes {
  readonly #random: RandomBytes;
  readonly #channels = new Set<number>();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  get count(): number {
    return this.#channels.size / 2;
  }

  create(service: string, initiator: Member, target: Member): HubPipe {
    const pipe = new HubPipe(service, initiator, target, [this.#freeChannel(), this.#freeChannel()]);
    for (const end of pipe.ends) end.member.ends.set(end.channel, end);
    return pipe;
  }

  remove(pipe: HubPipe): void {
    for (const { member, channel } of pipe.ends) {
      member.ends.delete(channel);
      this.#channels.delete(channel);
    }
  }

  /** Random, so that a number of before a restart, or of another pipe, is nobody's. */
  #freeChannel(): number {
    let channel = 0;
    while (channel === 0 || this.#channels.has(channel)) channel = Math.floor(uniform(this.#random) * 2 ** 32);
    this.#channels.add(channel);
    return channel;
  }
}

function publicEnd({ member, channel }: HubEnd): PipeEnd {
  return { cn: member.cn, sessionId: member.sessionId, channel };
}
