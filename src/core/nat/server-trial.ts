import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipFamily } from "../net/ip.ts";
import type { Instant } from "../time.ts";
import { SOCKET, type StunServer } from "./classifier-options.ts";
import type { FilteringTrial, Outcome } from "./filtering-test.ts";
import type { Sighting, Witness } from "./mapping-test.ts";
import type { ServerOutcome, ServerReport } from "./nat-report.ts";
import { isPossible } from "./possible-address.ts";
import type { Asked, Question, Questions } from "./questions.ts";

/** When a server is asked that has not answered yet: RFC 8489's doubling, begun at 250 ms to fit into 5 s. */
const FIRST_SENDS_MS = [0, 250, 750, 1_500, 2_500, 3_500];
/** Whoever has answered once is alive and its round trip known, so silence shows soon where it is to be expected. */
const SENDS_MS = [0, 100, 250, 450];
/** Where an answer is to be expected, silence is rather a loss: so many of the further times in any case. They reach past
 * the second after which a server that limits requests, as ours does, answers again.
 */
const SENDS_MORE = 3;
/** With a fifth of the datagrams lost each way, ten requests all go unanswered once in 27,000 times. */
const SENDS_IF_LOSSY_MS = [700, 950, 1_200, 1_450, 1_700, 1_950];
const MIN_WAIT_MS = 200;

/** One server of the list, what it was asked, and what that came to. */
export class ServerTrial {
  readonly index: number;
  readonly server: StunServer;
  /** Why it is not asked. */
  readonly #problem: string | undefined;
  readonly #questions: Questions;
  readonly #first: Asked | undefined;
  readonly #others: Asked[] = [];
  #address: Asked | undefined;
  #port: Asked | undefined;
  #control: Asked | undefined;

  constructor(now: Instant, questions: Questions, index: number, server: StunServer, family: 4 | 6) {
    const { endpoint, problem = "no address is known" } = server;
    this.index = index;
    this.server = server;
    this.#questions = questions;
    if (endpoint === undefined) this.#problem = problem;
    else if (ipFamily(endpoint.address) !== family) this.#problem = `no IPv${family} address`;
    else {
      const waitMs = Number.POSITIVE_INFINITY;
      this.#first = questions.ask(now, { socket: SOCKET.tested, to: endpoint, sendsMs: FIRST_SENDS_MS, waitMs });
    }
  }

  /** Where it is asked, if it is. */
  get endpoint(): Endpoint | undefined {
    return this.#first?.question.to;
  }

  get rttMs(): number {
    return this.#first?.rttMs ?? 0;
  }

  /** It may still answer. */
  get isPending(): boolean {
    return this.#first !== undefined && this.#first.reply === undefined;
  }

  /** Something came from it, be it sense or not. */
  get wasHeard(): boolean {
    return this.#first?.reply !== undefined || (this.#first?.nonsense ?? 0) > 0;
  }

  get hasAnswered(): boolean {
    return this.#mapped !== undefined;
  }

  get testsMapping(): boolean {
    return this.#others.length > 0;
  }

  get testsFiltering(): boolean {
    return this.#address !== undefined || this.#port !== undefined;
  }

  get hasControl(): boolean {
    return this.#control !== undefined;
  }

  /** All that was asked of it at the port under test, in the order of asking. */
  get mappingQuestions(): readonly Asked[] {
    return this.#first === undefined ? [] : [this.#first, ...this.#others];
  }

  /**
   * The other address and port that it says it has, if we may send there. Anybody can put anything into an answer, so
   * nothing but unicast addresses with the reach of its own, or the internet's, gets a packet.
   */
  get otherAddress(): Endpoint | undefined {
    const { endpoint } = this;
    const other = this.#first?.reply?.kind === "mapped" ? this.#first.reply.otherAddress : undefined;
    if (endpoint === undefined || other === undefined || sameEndpoint(endpoint, other)) return undefined;
    return isPossible(other, endpoint) ? other : undefined;
  }

  get witness(): Witness | undefined {
    const [first, ...others] = this.mappingQuestions.flatMap(sightingOf);
    return first === undefined || !this.hasAnswered ? undefined : { server: this.index, sightings: [first, ...others] };
  }

  /** RFC 5780 §4.3, from the port under test: its other address at the same port and at the other one, its other port. */
  testMapping(now: Instant): void {
    const { endpoint, otherAddress: other } = this;
    if (endpoint === undefined || other === undefined) return;
    const asked = [endpoint];
    for (const address of [other.address, endpoint.address]) {
      for (const port of [endpoint.port, other.port]) {
        const to = { address, port };
        if (asked.some((one) => sameEndpoint(one, to))) continue;
        asked.push(to);
        this.#others.push(this.ask(now, { socket: SOCKET.tested, to }));
      }
    }
  }

  /** RFC 5780 §4.4, both tests at once: which of them is answered does not depend on the other. */
  testFiltering(now: Instant): void {
    const { endpoint, otherAddress: other } = this;
    if (endpoint === undefined || other === undefined) return;
    if (other.address !== endpoint.address) this.#address = this.#askChanged(now, SOCKET.filtering, endpoint, other);
    const otherPort = { address: endpoint.address, port: other.port };
    if (other.port !== endpoint.port) this.#port = this.#askChanged(now, SOCKET.filtering, endpoint, otherPort);
  }

  /** Once its other endpoint has answered the port under test, nothing in between can stop an answer from there. */
  testControl(now: Instant): void {
    const { endpoint, otherAddress: other } = this;
    const hasOpened = this.#others.some(
      ({ question, reply }) => other !== undefined && sameEndpoint(question.to, other) && reply?.kind === "mapped",
    );
    if (endpoint !== undefined && other !== undefined && hasOpened)
      this.#control = this.#askChanged(now, SOCKET.tested, endpoint, other);
  }

  /** Asks something more of it, or of an address of its, now that its round trip is known. */
  ask(now: Instant, question: Pick<Question, "socket" | "to" | "from" | "change" | "toOurselves">): Asked {
    const waitMs = Math.max(MIN_WAIT_MS, 2 * this.rttMs);
    const silenceIsNormal = question.socket === SOCKET.filtering || question.toOurselves;
    const further = silenceIsNormal ? 0 : SENDS_MORE;
    return this.#questions.ask(now, {
      ...question,
      sendsMs: [...SENDS_MS, ...SENDS_IF_LOSSY_MS.slice(0, further)],
      sendsIfLossyMs: SENDS_IF_LOSSY_MS.slice(further),
      waitMs,
    });
  }

  mappingIsTested(now: Instant): boolean {
    return this.#others.every((asked) => asked.reply !== undefined || this.#questions.isSilent(now, asked));
  }

  filtering(now: Instant): FilteringTrial {
    return {
      address: this.#outcomeOf(now, this.#address),
      port: this.#outcomeOf(now, this.#port),
      control: this.#controlOutcome(now),
    };
  }

  report(now: Instant, contradicts: boolean): ServerReport {
    return {
      name: this.server.name,
      endpoint: this.server.endpoint ?? null,
      outcome: this.#outcome(now, contradicts),
      otherAddress: this.otherAddress ?? null,
    };
  }

  get #mapped(): Endpoint | undefined {
    return this.#first?.reply?.kind === "mapped" && this.#first !== undefined
      ? sightingOf(this.#first)[0]?.mapped
      : undefined;
  }

  #askChanged(now: Instant, socket: number, to: Endpoint, from: Endpoint): Asked {
    const change = { changeIp: from.address !== to.address, changePort: from.port !== to.port };
    return this.ask(now, { socket, to, from, change });
  }

  #outcomeOf(now: Instant, asked: Asked | undefined): Outcome | null {
    if (asked === undefined) return null;
    if (asked.reply === undefined) return this.#questions.isSilent(now, asked) ? "no" : "open";
    return asked.reply.kind === "mapped" ? "yes" : "ignored";
  }

  #controlOutcome(now: Instant): Outcome | null {
    if (this.#control !== undefined) return this.#outcomeOf(now, this.#control);
    return this.mappingIsTested(now) ? null : "open";
  }

  #outcome(now: Instant, contradicts: boolean): ServerOutcome {
    if (this.#first === undefined) return { kind: "unresolved", message: this.#problem ?? "" };
    const { reply, since, nonsense } = this.#first;
    const rttMs = Math.round(10 * this.rttMs) / 10;
    const mapped = this.#mapped;
    if (mapped !== undefined) return { kind: contradicts ? "contradicts" : "answered", mapped, rttMs };
    if (reply?.kind === "error") return { kind: "error", code: reply.code, message: reply.message };
    if (reply !== undefined)
      return { kind: "error", code: null, message: "the answer has an impossible address in it" };
    if (nonsense > 0) return { kind: "error", code: null, message: "what came back is no answer" };
    return { kind: "timeout", waitedMs: Math.round(now - since) };
  }
}

/** An outside address that cannot be one is as good as none. */
function sightingOf({ question: { to }, reply }: Asked): Sighting[] {
  return reply?.kind === "mapped" && isPossible(reply.mapped, to) ? [{ to, mapped: reply.mapped }] : [];
}
