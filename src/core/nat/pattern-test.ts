import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import { CLASSIFIER_SOCKETS, SOCKET } from "./classifier-options.ts";
import type { PortSample } from "./port-pattern.ts";
import type { Asked, Questions } from "./questions.ts";
import type { ServerTrial } from "./server-trial.ts";

/** Asks one believed server from several sockets in a row, to see which outside ports they get. */
export class PatternTest {
  readonly #questions: Questions;
  readonly #sockets: readonly Endpoint[];
  #server: number | undefined;
  #asked: readonly Asked[] = [];

  constructor(questions: Questions, sockets: readonly Endpoint[]) {
    this.#questions = questions;
    this.#sockets = sockets;
  }

  /** Begins, once; anew when the server that was asked is no longer believed. */
  start(now: Instant, server: ServerTrial, trusted: ReadonlySet<number>): void {
    const to = server.endpoint;
    if (to === undefined || (this.#server !== undefined && trusted.has(this.#server))) return;
    this.#server = server.index;
    const count = CLASSIFIER_SOCKETS - SOCKET.hairpin;
    this.#asked = Array.from({ length: count }, (_, i) => server.ask(now, { socket: SOCKET.hairpin + i, to }));
  }

  mappedOf(socket: number): Endpoint | undefined {
    const reply = this.#asked.find(({ question }) => question.socket === socket)?.reply;
    return reply?.kind === "mapped" ? reply.mapped : undefined;
  }

  isSettled(now: Instant): boolean {
    return this.#asked.every((asked) => asked.reply !== undefined || this.#questions.isSilent(now, asked));
  }

  /** One for each mapping that a believed server saw, oldest first. */
  samples(trials: readonly ServerTrial[], trusted: ReadonlySet<number>): PortSample[] {
    const ofTested = trials.filter(({ index }) => trusted.has(index)).flatMap((trial) => trial.mappingQuestions);
    const believed = this.#server !== undefined && trusted.has(this.#server) ? this.#asked : [];
    const seen: { socket: number; mapped: Endpoint }[] = [];
    for (const { question, reply } of [...ofTested, ...believed].sort((a, b) => a.since - b.since)) {
      if (reply?.kind !== "mapped") continue;
      const { mapped } = reply;
      const isKnown = seen.some((one) => one.socket === question.socket && sameEndpoint(one.mapped, mapped));
      if (!isKnown) seen.push({ socket: question.socket, mapped });
    }
    return seen.map(({ socket, mapped }) => ({
      socket,
      insidePort: this.#sockets[socket]?.port ?? 0,
      outsideAddress: mapped.address,
      outsidePort: mapped.port,
    }));
  }
}
