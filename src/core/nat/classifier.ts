import type { Datagram, Machine, Transmit } from "../machine.ts";
import { ipFamily } from "../net/ip.ts";
import { type Instant, NEVER } from "../time.ts";
import { CLASSIFIER_SOCKETS, type ClassifierOptions, type NatEvent, SOCKET } from "./classifier-options.ts";
import { filteringIsSettled, judgeFiltering } from "./filtering-test.ts";
import { HairpinTest } from "./hairpin-test.ts";
import { judgeMapping, type MappingVerdict } from "./mapping-test.ts";
import type { NatReport } from "./nat-report.ts";
import { PatternTest } from "./pattern-test.ts";
import { Questions } from "./questions.ts";
import { ServerTrial } from "./server-trial.ts";
import { reachVerdict } from "./verdict.ts";

const DEFAULT_DEADLINE_MS = 5_000;
/** Servers that have not answered by then are not waited for, if the verdict is definite without them. */
const PATIENCE_MS = 1_000;
/** Believed servers whose other addresses are used, and addresses in all that a server may name and have packets sent to. */
const MAX_TESTING = 2;
const MAX_OTHER_ADDRESSES = 4;

/**
 * Finds out what kind of NAT its sockets are behind (RFC 5780, with as many servers as there are), and says so once, in
 * a `report`: as soon as nothing that is still under way could change it, and at `deadlineMs` in any case.
 *
 * All servers are asked at once from the port under test. Servers with a second address or port test mapping and
 * filtering, one is enough. What servers say is believed when most agree (`judgeMapping`), so that a third of them may
 * be dead or lie. Once it is settled whom to believe, those show which ports other sockets get, and two sockets try to
 * meet at their outside addresses (hairpin).
 *
 * No stranger can use it as a reflector: at most four servers are believed when they name an address, which must be
 * unicast, and no more than ten small datagrams go to each of its two ports. Left out on purpose: TCP, mapping lifetimes (`lifetime.ts`, which takes minutes).
 */
export class NatClassifier implements Machine<NatEvent> {
  readonly #options: ClassifierOptions;
  readonly #startedAt: Instant;
  readonly #deadline: Instant;
  readonly #questions: Questions;
  readonly #trials: readonly ServerTrial[];
  readonly #pattern: PatternTest;
  readonly #hairpin: HairpinTest;
  readonly #events: NatEvent[] = [];
  readonly #told = new Set<ServerTrial>();
  #now: Instant;
  #report: NatReport | undefined;

  /** Throws a RangeError unless there are `CLASSIFIER_SOCKETS` sockets. */
  constructor(options: ClassifierOptions) {
    const { now, random, servers, sockets, deadlineMs = DEFAULT_DEADLINE_MS } = options;
    const [tested] = sockets;
    if (tested === undefined || sockets.length !== CLASSIFIER_SOCKETS)
      throw new RangeError(`Cannot classify with ${sockets.length} sockets: it takes ${CLASSIFIER_SOCKETS}`);
    this.#options = options;
    this.#now = now;
    this.#startedAt = now;
    this.#deadline = now + deadlineMs;
    this.#questions = new Questions(random);
    this.#pattern = new PatternTest(this.#questions, sockets);
    this.#hairpin = new HairpinTest(this.#questions);
    const family = ipFamily(tested.address);
    this.#trials = servers.map((server, index) => new ServerTrial(now, this.#questions, index, server, family));
    this.#events.push({ type: "test", test: "mapping" });
    this.#advance(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    if (this.#report !== undefined) return;
    this.#questions.handleDatagram(now, datagram);
    this.#advance(now);
  }

  handleTimeout(now: Instant): void {
    if (this.#report !== undefined) return;
    this.#questions.handleTimeout(now);
    this.#advance(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#questions.pollTransmit();
  }

  pollEvent(): NatEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    if (this.#report !== undefined) return NEVER;
    const waiting = Math.min(this.#questions.nextTimeout(this.#now), this.#deadline);
    return this.#patientUntil > this.#now ? Math.min(this.#patientUntil, waiting) : waiting;
  }

  /** Starts every test that has become possible, and ends when there is nothing left to learn. */
  #advance(now: Instant): void {
    this.#now = now;
    this.#tellServers(now);
    const mapping = this.#judgeMapping();
    this.#testWithOtherAddresses(now, mapping);
    if (mapping.settled || now >= this.#patientUntil) this.#testWithBelieved(now, mapping);
    if (now >= this.#deadline || this.#isCertain(now, mapping)) this.#end(now, mapping);
  }

  #judgeMapping(): MappingVerdict {
    const witnesses = this.#trials.flatMap(({ witness }) => witness ?? []);
    const heard = new Set(witnesses.flatMap(({ sightings }) => sightings.map(({ to }) => to.address)));
    const pending = this.#trials.flatMap((trial) => (trial.isPending ? (trial.endpoint?.address ?? []) : []));
    return judgeMapping(witnesses, new Set(pending.filter((address) => !heard.has(address))).size);
  }

  get #patientUntil(): Instant {
    return this.#startedAt + PATIENCE_MS;
  }

  /** Servers that contradict the others later make place for better ones. */
  #testWithOtherAddresses(now: Instant, { trusted, dependent }: MappingVerdict): void {
    const testing = this.#trials.filter((trial) => trial.testsMapping);
    let active = testing.filter(({ index }) => trusted.has(index)).length;
    let left = MAX_OTHER_ADDRESSES - testing.length;
    for (const trial of this.#trials) {
      if (dependent !== true && trial.testsMapping && !trial.hasControl) trial.testControl(now);
      if (trial.testsMapping || trial.otherAddress === undefined || !trusted.has(trial.index)) continue;
      if (active >= MAX_TESTING || left === 0 || !this.#isApart(trial)) continue;
      active++;
      left--;
      if (testing.length === 0 && active === 1) this.#events.push({ type: "test", test: "filtering" });
      trial.testMapping(now);
      trial.testFiltering(now);
    }
  }

  /** No address of its own plays a part in another server's filtering test, which would open the way for its answers. */
  #isApart(trial: ServerTrial): boolean {
    const own = addressesOf(trial);
    return this.#trials.every((other) => !other.testsFiltering || addressesOf(other).isDisjointFrom(own));
  }

  /** Begun when it is certain enough whom to believe: packets go to what servers said. */
  #testWithBelieved(now: Instant, { mapped, dependent, trusted }: MappingVerdict): void {
    const believed = this.#trials.filter(({ index }) => trusted.has(index));
    const [first] = believed;
    if (first === undefined || mapped === null) return;
    this.#pattern.start(now, believed);
    const peer = this.#pattern.mappedOf(SOCKET.hairpin);
    // Only where everybody sees the same outside address is it known which one to send to.
    if (peer === undefined || dependent !== false) return;
    if (this.#options.interfaceAddresses.includes(mapped.address)) return;
    if (this.#hairpin.start(now, first, mapped, peer)) this.#events.push({ type: "test", test: "hairpin" });
  }

  #isCertain(now: Instant, mapping: MappingVerdict): boolean {
    const isPatient = now < this.#patientUntil;
    const pending = this.#trials.some((trial) => trial.isPending);
    const isDefinite = mapping.mapped !== null && (mapping.dependent !== null || !pending);
    if (pending && (isPatient || !isDefinite)) return false;
    const trusted = this.#trials.filter(({ index }) => mapping.trusted.has(index));
    return (
      trusted.every((trial) => trial.mappingIsTested(now)) &&
      filteringIsSettled(this.#filteringTrials(now, mapping), mapping.dependent === true) &&
      this.#pattern.isSettled(now) &&
      this.#hairpin.isSettled(now)
    );
  }

  #filteringTrials(now: Instant, { trusted }: MappingVerdict) {
    return this.#trials
      .filter((trial) => trial.testsFiltering && trusted.has(trial.index))
      .map((trial) => trial.filtering(now));
  }

  #tellServers(now: Instant): void {
    for (const trial of this.#trials) {
      if (trial.isPending || this.#told.has(trial)) continue;
      this.#told.add(trial);
      this.#events.push({ type: "server", server: trial.report(now, false) });
    }
  }

  #end(now: Instant, mapping: MappingVerdict): void {
    const { interfaceAddresses, gatewayExternal, sockets } = this.#options;
    const asked = this.#trials.filter(({ endpoint }) => endpoint !== undefined);
    const verdict = reachVerdict({
      servers: {
        given: this.#trials.length,
        asked: asked.length,
        heard: asked.filter(({ wasHeard }) => wasHeard).length,
      },
      mapping,
      filtering: judgeFiltering(this.#filteringTrials(now, mapping), mapping.dependent === true),
      hairpin: this.#hairpin.outcome(now),
      samples: this.#pattern.samples(this.#trials, mapping.trusted),
      tested: { socket: SOCKET.tested, port: sockets[SOCKET.tested]?.port ?? 0 },
      interfaceAddresses,
      gatewayExternal,
    });
    const servers = this.#trials.map((trial) => trial.report(now, mapping.contradicting.has(trial.index)));
    this.#report = { ...verdict, servers, elapsedMs: Math.round(now - this.#startedAt) };
    this.#events.push({ type: "report", report: this.#report });
  }
}

function addressesOf({ endpoint, otherAddress }: ServerTrial): Set<string> {
  return new Set([endpoint, otherAddress].flatMap((one) => one?.address ?? []));
}
