import type { Outbox } from "./outbox.ts";
import { FIRST_FAN_SOCKET } from "./peer-options.ts";

/**
 * Who uses which socket that hard-NAT has won. A pipe that is opened again takes the socket over from its predecessor,
 * whose end then does not close it.
 */
export class FanSockets {
  readonly #out: Outbox;
  readonly #owners = new Map<number, object>();

  constructor(out: Outbox) {
    this.#out = out;
  }

  /** How many are open. */
  get count(): number {
    return this.#owners.size;
  }

  /** `owner` sends from this socket from now on, shared or not, and from no other one. */
  claim(socket: number, owner: object): void {
    this.#closeOf(owner, socket);
    if (socket >= FIRST_FAN_SOCKET) this.#owners.set(socket, owner);
  }

  release(owner: object): void {
    this.#closeOf(owner);
  }

  #closeOf(owner: object, except?: number): void {
    for (const [socket, current] of this.#owners) {
      if (current !== owner || socket === except) continue;
      this.#owners.delete(socket);
      this.#out.closeSockets(socket, 1);
    }
  }
}
