import type { Endpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import { SOCKET } from "./classifier-options.ts";
import type { Asked, Questions } from "./questions.ts";
import type { ServerTrial } from "./server-trial.ts";

/**
 * Two of our sockets send to each other's outside addresses (RFC 5780 §4.5). Both do, because two hosts behind one NAT
 * would: what one sends opens the other's way in, so filtering does not hide hairpinning.
 */
export class HairpinTest {
  readonly #questions: Questions;
  #asked: readonly Asked[] = [];

  constructor(questions: Questions) {
    this.#questions = questions;
  }

  /**
   * From here to the outside addresses of the port under test and of the one that meets it. It takes no longer than to
   * a server and back. True: it began just now.
   */
  start(now: Instant, server: ServerTrial, mapped: Endpoint, peer: Endpoint): boolean {
    if (this.#asked.length > 0) return false;
    this.#asked = [
      server.ask(now, { socket: SOCKET.hairpin, to: mapped, toOurselves: true }),
      server.ask(now, { socket: SOCKET.tested, to: peer, toOurselves: true }),
    ];
    return true;
  }

  isSettled(now: Instant): boolean {
    return this.#asked.length === 0 || this.outcome(now) !== null;
  }

  /** Null: not begun, or not over. */
  outcome(now: Instant): boolean | null {
    if (this.#asked.some(({ reply }) => reply !== undefined)) return true;
    const isOver = this.#asked.length > 0 && this.#asked.every((asked) => this.#questions.isSilent(now, asked));
    return isOver ? false : null;
  }
}
