import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { LifetimePath } from "./lifetime-path.ts";
import type { Asked, Question, Questions } from "./questions.ts";

/** `void`: nothing was learned, the network or the server failed. */
export type LifetimeResult = "alive" | "dead" | "void";

const SENDS_MS = [0, 200, 500, 900, 1_400];
const WAIT_MS = 600;

/**
 * One socket that opens a mapping, is silent for a time, and then looks whether the mapping is still there. What is
 * looked at is never what would renew it.
 */
export class LifetimeTrial {
  readonly silenceMs: number;
  readonly #questions: Questions;
  readonly #socket: number;
  readonly #path: LifetimePath;
  readonly #opening: Asked;
  /** Where answers get in by what the opening opened, proves right away that this can be looked at. */
  #rehearsal: Asked | undefined;
  #look: Asked | undefined;
  #control: Asked | undefined;
  #lookAt: Instant = NEVER;

  constructor(now: Instant, questions: Questions, socket: number, path: LifetimePath, silenceMs: number) {
    this.silenceMs = silenceMs;
    this.#questions = questions;
    this.#socket = socket;
    this.#path = path;
    this.#opening = this.#ask(now, { to: path.server });
  }

  /** When it wants `advance` called without anything having come in. */
  get dueAt(): Instant {
    return this.#look === undefined ? this.#lookAt : NEVER;
  }

  /** Undefined while it lasts. */
  advance(now: Instant): LifetimeResult | undefined {
    const opened = this.#mappedBy(this.#opening);
    if (opened === undefined) return this.#isOver(now, this.#opening) ? "void" : undefined;
    const { via } = this.#path;
    return via === undefined ? this.#lookAtPort(now, opened) : this.#lookAtFilter(now, via);
  }

  /** A mapping that has died comes back with another port, where ports are not kept. */
  #lookAtPort(now: Instant, opened: Endpoint): LifetimeResult | undefined {
    if (this.#lookAt === NEVER) this.#lookAt = now + this.silenceMs;
    if (now >= this.#lookAt) this.#look ??= this.#ask(now, { to: this.#path.server });
    if (this.#look === undefined) return undefined;
    const again = this.#mappedBy(this.#look);
    if (again === undefined) return this.#isOver(now, this.#look) ? "void" : undefined;
    return sameEndpoint(again, opened) ? "alive" : "dead";
  }

  /**
   * Asked at its other endpoint for an answer from the first one, the server sends what only the memory of the opening
   * lets in: the request renews the mapping, but not what was opened towards the first endpoint.
   */
  #lookAtFilter(now: Instant, via: Endpoint): LifetimeResult | undefined {
    this.#rehearsal ??= this.#askBack(now, via);
    if (this.#mappedBy(this.#rehearsal) === undefined) return this.#isOver(now, this.#rehearsal) ? "void" : undefined;
    if (this.#lookAt === NEVER) this.#lookAt = now + this.silenceMs;
    if (now >= this.#lookAt) {
      this.#look ??= this.#askBack(now, via);
      this.#control ??= this.#ask(now, { to: via });
    }
    if (this.#look === undefined || this.#control === undefined) return undefined;
    if (this.#mappedBy(this.#look) !== undefined) return "alive";
    if (!this.#isOver(now, this.#look) || !this.#isOver(now, this.#control)) return undefined;
    return this.#mappedBy(this.#control) === undefined ? "void" : "dead";
  }

  #askBack(now: Instant, via: Endpoint): Asked {
    const { server } = this.#path;
    const change = { changeIp: via.address !== server.address, changePort: via.port !== server.port };
    return this.#ask(now, { to: via, from: server, change });
  }

  #ask(now: Instant, question: Pick<Question, "to" | "from" | "change">): Asked {
    return this.#questions.ask(now, { ...question, socket: this.#socket, sendsMs: SENDS_MS, waitMs: WAIT_MS });
  }

  #isOver(now: Instant, asked: Asked): boolean {
    return asked.reply !== undefined || this.#questions.isSilent(now, asked);
  }

  #mappedBy({ reply }: Asked): Endpoint | undefined {
    return reply?.kind === "mapped" ? reply.mapped : undefined;
  }
}
