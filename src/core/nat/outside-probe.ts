import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import { type Asked, type Question, Questions } from "./questions.ts";

/**
 * What came of a look at a port mapping. `reached`: it lets in whom the NAT alone keeps out. `not-reached`: it lets
 * nobody in. `unknown`: no server could look, or the NAT keeps nobody out.
 */
export type Reach = "reached" | "not-reached" | "unknown";

export interface OutsideProbeOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly servers: readonly Endpoint[];
  /** What the gateway says that the mapped socket is outside. */
  readonly external: Endpoint;
}

/** The mapped port, and one that nobody mapped, to compare with; of one host and one address family. */
export const PROBE_SOCKETS = { mapped: 0, control: 1 } as const;

/** More would only say the same. */
const MAX_SERVERS = 4;
const SENDS_MS = [0, 250, 750];
/** Behind the last send. */
const WAIT_MS = 500;

/**
 * Looks from outside whether a port mapping works: a server with a second address or port (RFC 5780 §4.4, or ours with
 * two ports) is asked from the mapped port, and from another one, to answer from there. The answer comes through to the
 * mapped port if the mapping is real; to the other one only if the NAT lets in anybody, and then nothing is proven.
 * Its only event is the verdict, within 2.5 s.
 *
 * It means nothing where the mapped port has sent to the servers' other addresses shortly before, which the NAT may
 * remember. Left out on purpose: gateways that send from other ports than they map, of which nobody can look at the
 * mapped one.
 */
export class OutsideProbe implements Machine<Reach> {
  readonly #questions: Questions;
  readonly #external: Endpoint;
  readonly #looks: readonly Look[];
  #now: Instant;
  #verdict: Reach | undefined;
  #told = false;

  constructor({ now, random, servers, external }: OutsideProbeOptions) {
    this.#now = now;
    this.#external = external;
    this.#questions = new Questions(random);
    this.#looks = servers.slice(0, MAX_SERVERS).map((server) => new Look(now, this.#questions, server));
    this.#advance(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#questions.handleDatagram(now, datagram);
    this.#advance(now);
  }

  handleTimeout(now: Instant): void {
    if (this.#verdict !== undefined) return;
    this.#questions.handleTimeout(now);
    this.#advance(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#verdict === undefined ? this.#questions.pollTransmit() : undefined;
  }

  pollEvent(): Reach | undefined {
    if (this.#told) return undefined;
    this.#told = this.#verdict !== undefined;
    return this.#verdict;
  }

  nextTimeout(): Instant {
    return this.#verdict === undefined ? this.#questions.nextTimeout(this.#now) : NEVER;
  }

  #advance(now: Instant): void {
    this.#now = now;
    if (this.#verdict !== undefined) return;
    const reaches = this.#looks.map((look) => look.reach(now, this.#external));
    if (reaches.includes("reached")) this.#verdict = "reached";
    else if (!reaches.includes(undefined)) this.#verdict = reaches.includes("not-reached") ? "not-reached" : "unknown";
  }
}

/** One question from both sockets. */
interface Pair {
  readonly mapped: Asked;
  readonly control: Asked;
}

/** What one server shows: first what both sockets are outside, then who gets in to them. */
class Look {
  readonly #questions: Questions;
  readonly #server: Endpoint;
  readonly #plain: Pair;
  #changed: Pair | undefined;

  constructor(now: Instant, questions: Questions, server: Endpoint) {
    this.#questions = questions;
    this.#server = server;
    this.#plain = this.#ask(now, {});
  }

  /** Undefined while it cannot be told. */
  reach(now: Instant, external: Endpoint): Reach | undefined {
    if (this.#changed === undefined) {
      if (!this.#isSettled(now, this.#plain)) return undefined;
      const change = this.#canShow(external);
      if (change === undefined) return "unknown";
      this.#changed = this.#ask(now, change);
    }
    return this.#isSettled(now, this.#changed) ? judge(this.#changed) : undefined;
  }

  /** How to ask for an answer from elsewhere, if that would say anything about `external`. */
  #canShow(external: Endpoint): Pick<Question, "change" | "from"> | undefined {
    const { mapped, control } = this.#plain;
    if (mapped.reply?.kind !== "mapped" || control.reply?.kind !== "mapped") return undefined;
    const { mapped: seen, otherAddress: from } = mapped.reply;
    if (from === undefined || !sameEndpoint(seen, external)) return undefined;
    const change = { changeIp: from.address !== this.#server.address, changePort: from.port !== this.#server.port };
    return { from, change };
  }

  #ask(now: Instant, how: Pick<Question, "change" | "from">): Pair {
    const question = { to: this.#server, sendsMs: SENDS_MS, waitMs: WAIT_MS, ...how };
    return {
      mapped: this.#questions.ask(now, { ...question, socket: PROBE_SOCKETS.mapped }),
      control: this.#questions.ask(now, { ...question, socket: PROBE_SOCKETS.control }),
    };
  }

  #isSettled(now: Instant, { mapped, control }: Pair): boolean {
    return [mapped, control].every((asked) => asked.reply !== undefined || this.#questions.isSilent(now, asked));
  }
}

/** A server that answers from where it was asked, or refuses, has not looked. */
function judge({ mapped, control }: Pair): Reach {
  const [inside, compared] = [mapped, control].map(({ reply }) => reply?.kind ?? "silent");
  if (inside === "silent") return compared === "silent" || compared === "mapped" ? "not-reached" : "unknown";
  return inside === "mapped" && compared === "silent" ? "reached" : "unknown";
}
