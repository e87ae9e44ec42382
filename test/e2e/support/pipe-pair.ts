import type { Pipes, PipeUser } from "../../../src/app/peers/peer-plane.ts";
import { now } from "../../../src/io/clock.ts";
import type { Random } from "../../random.ts";

/** What happens to datagrams on their way, each way. */
export interface Weather {
  readonly random: Random;
  /** One in so many; 0: none. */
  readonly lost: number;
  readonly doubled: number;
  /** One in so many comes `lateMs` late, behind others. */
  readonly late: number;
  readonly lateMs: number;
}

/** The answerer's side: what its role does with a pipe that a peer has opened. */
export type Answer = (plane: Pipes, pipe: number, peer: string) => PipeUser;

/**
 * Pipes between two ends of one process, without a server between them: what the opener asks for is answered by
 * `answer`, and datagrams go over in batches, a turn of the event loop later, as those of `PeerPlane` do.
 */
export class PipePair {
  readonly #answer: Answer;
  readonly #peer: string;
  /** What both ends have sent, by flow. */
  readonly sent: { readonly flow: number; readonly bytes: number }[] = [];
  keepsRecord = false;
  weather: Weather | undefined;
  /** Nothing gets through. */
  isSilent = false;
  #opener: PipeUser | undefined;
  #answerer: PipeUser | undefined;
  #pipe = 100;
  readonly #closed: string[] = [];

  constructor(peer: string, answer: Answer) {
    this.#peer = peer;
    this.#answer = answer;
  }

  /** The opener's plane. There is one pipe. */
  readonly opener: Pipes = {
    open: (_to, _service, user) => {
      this.#opener = user;
      setImmediate(() => this.restore());
      return 1;
    },
    send: (_pipe, flow, datagram) => this.#pass(flow, datagram, this.#toAnswerer),
    close: () => {
      this.#answerer?.closed();
      this.#answerer = undefined;
      this.#opener?.closed();
      this.#opener = undefined;
    },
  };

  /** The answerer's plane. */
  readonly answerer: Pipes = {
    open: () => {
      throw new Error("an answerer opens nothing");
    },
    send: (pipe, flow, datagram) => (pipe === this.#pipe ? this.#pass(flow, datagram, this.#toOpener) : now()),
    close: () => {},
  };

  /** The pipe is lost, as with the server and no direct path. */
  lose(reason: string): void {
    this.#answerer?.closed();
    this.#answerer = undefined;
    this.#opener?.waiting?.(reason);
  }

  /** There is a pipe, the first or another one. */
  restore(): void {
    if (this.#opener === undefined) return;
    this.#pipe += 1;
    this.#answerer = this.#answer(this.answerer, this.#pipe, this.#peer);
    this.#opener.opened?.();
  }

  /** Another pipe takes its place, the old one closes a little later: the server was started anew, the path was not. */
  replace(): void {
    const old = this.#answerer;
    this.restore();
    setTimeout(() => old?.closed(), 50);
  }

  readonly #toAnswerer: Direction = {
    queue: [],
    isDue: false,
    deliver: (batch) => this.#deliver(this.#answerer, batch),
  };
  readonly #toOpener: Direction = { queue: [], isDue: false, deliver: (batch) => this.#deliver(this.#opener, batch) };

  #deliver(user: PipeUser | undefined, batch: readonly Packet[]): void {
    let from = 0;
    for (let at = 1; at <= batch.length; at++) {
      if (batch[at]?.flow === batch[from]?.flow) continue;
      user?.deliver(
        batch[from]?.flow ?? 0,
        batch.slice(from, at).map(({ datagram }) => datagram),
      );
      from = at;
    }
  }

  #pass(flow: number, datagram: Uint8Array, direction: Direction): number {
    if (this.keepsRecord) this.sent.push({ flow, bytes: datagram.length });
    if (this.isSilent) return now();
    const { weather } = this;
    if (weather === undefined) this.#push(direction, { flow, datagram });
    else this.#weather(weather, direction, { flow, datagram });
    return now();
  }

  #weather({ random, lost, doubled, late, lateMs }: Weather, direction: Direction, packet: Packet): void {
    if (lost > 0 && random.oneIn(lost)) return;
    if (doubled > 0 && random.oneIn(doubled)) this.#push(direction, packet);
    if (late > 0 && random.oneIn(late)) setTimeout(() => this.#push(direction, packet), random.below(lateMs));
    else this.#push(direction, packet);
  }

  #push(direction: Direction, packet: Packet): void {
    direction.queue.push(packet);
    if (direction.isDue) return;
    direction.isDue = true;
    setImmediate(() => {
      direction.isDue = false;
      direction.deliver(direction.queue.splice(0));
    });
  }
}

interface Packet {
  readonly flow: number;
  readonly datagram: Uint8Array;
}

interface Direction {
  readonly queue: Packet[];
  isDue: boolean;
  deliver(batch: readonly Packet[]): void;
}
