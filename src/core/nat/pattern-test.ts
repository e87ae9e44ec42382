import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import { CLASSIFIER_SOCKETS, SOCKET } from "./classifier-options.ts";
import type { PortSample } from "./port-pattern.ts";
import { isPossible } from "./possible-address.ts";
import type { Asked, Questions } from "./questions.ts";
import type { ServerTrial } from "./server-trial.ts";

/** Asks from several sockets in a row, to see which outside ports they get; each socket another server, if there are more. */
export class PatternTest {
  readonly #questions: Questions;
  readonly #sockets: readonly Endpoint[];
  #asked: readonly { readonly server: number; readonly asked: Asked }[] = [];

  constructor(questions: Questions, sockets: readonly Endpoint[]) {
    this.#questions = questions;
    this.#sockets = sockets;
  }

  /** Begins, once, with servers that have answered. */
  start(now: Instant, servers: readonly ServerTrial[]): void {
    if (this.#asked.length > 0) return;
    this.#asked = Array.from({ length: CLASSIFIER_SOCKETS - SOCKET.hairpin }, (_, i) => {
      const server = servers[i % servers.length];
      const to = server?.endpoint;
      if (server === undefined || to === undefined) return [];
      return [{ server: server.index, asked: server.ask(now, { socket: SOCKET.hairpin + i, to }) }];
    }).flat();
  }

  /** The outside address of a socket, as far as it can be one. */
  mappedOf(socket: number): Endpoint | undefined {
    const asked = this.#asked.find(({ asked }) => asked.question.socket === socket)?.asked;
    if (asked?.reply?.kind !== "mapped") return undefined;
    return isPossible(asked.reply.mapped, asked.question.to) ? asked.reply.mapped : undefined;
  }

  isSettled(now: Instant): boolean {
    return this.#asked.every(({ asked }) => asked.reply !== undefined || this.#questions.isSilent(now, asked));
  }

  /** One for each mapping that a believed server saw, oldest first. */
  samples(trials: readonly ServerTrial[], trusted: ReadonlySet<number>): PortSample[] {
    const ofTested = trials.filter(({ index }) => trusted.has(index)).flatMap((trial) => trial.mappingQuestions);
    const believed = this.#asked.filter(({ server }) => trusted.has(server)).map(({ asked }) => asked);
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
