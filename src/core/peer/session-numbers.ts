import type { RandomBytes } from "../machine.ts";
import type { PeerPipe } from "./peer-pipe.ts";

/** The numbers by which sealed packets find their pipe: 32 random bits, each one pipe's in this process. */
export class SessionNumbers {
  readonly #random: RandomBytes;
  /** Undefined: taken for a pipe that is not open yet. */
  readonly #pipes = new Map<number, PeerPipe | undefined>();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  get count(): number {
    return this.#pipes.size;
  }

  get(session: number): PeerPipe | undefined {
    return this.#pipes.get(session);
  }

  /** One that nobody has. */
  take(): number {
    for (;;) {
      const bytes = this.#random(4).slice();
      const session = new DataView(bytes.buffer).getUint32(0);
      if (this.#pipes.has(session)) continue;
      this.#pipes.set(session, undefined);
      return session;
    }
  }

  bind(session: number, pipe: PeerPipe): number {
    this.#pipes.set(session, pipe);
    return session;
  }

  release(session: number): void {
    this.#pipes.delete(session);
  }
}
