import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipScope } from "../net/ip.ts";
import type { Instant } from "../time.ts";
import { type Candidate, type LocalCandidate, MAX_CANDIDATES } from "./candidate.ts";
import { isSameFamily } from "./gather.ts";

/** RFC 8445 §6.1.2.6. */
export type PairState = "frozen" | "waiting" | "in-progress" | "succeeded" | "failed";

/** One way to try: from a socket of ours to an address of the peer. */
export interface CandidatePair {
  readonly local: LocalCandidate;
  /** One that a check revealed is replaced when the peer tells of it. */
  remote: Candidate;
  state: PairState;
  /** It is the one: chosen by the peer, or by us when controlling. It is selected as soon as that is confirmed. */
  nominated: boolean;
  /** When a check of the peer last made one of ours. */
  triggeredAt?: Instant;
  /** Once it has succeeded: as what the peer sees us, the local candidate of the valid pair (§7.2.5.3.2). */
  mapped?: LocalCandidate;
  /** Of the check that succeeded, where that was sent once only. */
  rttMs?: number | undefined;
}

/** RFC 8445 §6.1.2.5. */
export const MAX_PAIRS = 100;
/** Of foundations that no peer can tell, as theirs have no space. */
const REVEALED = "prflx ";

/**
 * The peer's candidates, and what can be tried with them, the best first (RFC 8445 §6.1.2 and §6.1.4). Pairs are told
 * apart by socket and remote address only: a reflexive candidate of ours is checked from its base, and a socket that is
 * bound to many addresses sends from the one that its system picks (§6.1.2.4).
 */
export class Checklist {
  readonly #bases: readonly LocalCandidate[];
  readonly #remotes: Candidate[] = [];
  readonly #pairs: CandidatePair[] = [];
  readonly #triggered: CandidatePair[] = [];
  #controlling: boolean;
  /** Candidates that checks have revealed so far, and how many of them nobody has told of since. */
  #revealed = 0;
  #untold = 0;

  constructor(locals: readonly LocalCandidate[], controlling: boolean) {
    this.#bases = locals.filter(({ endpoint, base }) => sameEndpoint(endpoint, base));
    this.#controlling = controlling;
  }

  get pairs(): readonly CandidatePair[] {
    return this.#pairs;
  }

  get controlling(): boolean {
    return this.#controlling;
  }

  /** After a role conflict the order is the other side's, and so is the choice. */
  set controlling(controlling: boolean) {
    this.#controlling = controlling;
    for (const pair of this.#pairs) pair.nominated = false;
    this.#sort();
  }

  /** Pairs it with every base of ours. False when it is one too many. */
  addRemote(remote: Candidate): boolean {
    const known = this.#remotes.findIndex(({ endpoint }) => sameEndpoint(endpoint, remote.endpoint));
    // What a peer's checks reveal takes no room from what it tells.
    if (known < 0 && this.#remotes.length - this.#untold >= MAX_CANDIDATES) return false;
    if (known < 0) this.#remotes.push(remote);
    else this.#tell(known, remote);
    const fits = this.#bases
      .filter(({ base }) => canReach(base, remote.endpoint))
      .every((local) => this.#find(local.socket, remote.endpoint) !== undefined || this.#insert(local, remote));
    this.#thaw();
    return fits;
  }

  /**
   * The pair that a check of the peer came over. An address that nobody told is a peer-reflexive candidate with the
   * priority that the check claims (§7.3.1.3). Undefined when it is one too many.
   */
  reveal(local: LocalCandidate, endpoint: Endpoint, priority: number): CandidatePair | undefined {
    const pair = this.#find(local.socket, endpoint);
    if (pair !== undefined) return pair;
    const known = this.#remotes.find((remote) => sameEndpoint(remote.endpoint, endpoint));
    if (known !== undefined) return this.#insert(local, known);
    if (this.#untold >= MAX_CANDIDATES) return undefined;
    this.#revealed += 1;
    this.#untold += 1;
    const foundation = `${REVEALED}${this.#revealed}`;
    const candidate: Candidate = { type: "prflx", foundation, priority, endpoint };
    this.#remotes.push(candidate);
    return this.#insert(local, candidate);
  }

  /** It is to be checked before all ordinary ones, after those that were triggered before (§6.1.4.1). */
  trigger(pair: CandidatePair): void {
    if (!this.#triggered.includes(pair)) this.#triggered.push(pair);
  }

  get hasNext(): boolean {
    const canWait = (pair: CandidatePair) => pair.state === "frozen" && !this.#isBusy(foundationOf(pair));
    return this.#triggered.length > 0 || this.#pairs.some((pair) => pair.state === "waiting" || canWait(pair));
  }

  /** What to check now (§6.1.4.2). */
  next(): CandidatePair | undefined {
    for (let pair = this.#triggered.shift(); pair !== undefined; pair = this.#triggered.shift())
      if (pair.state === "waiting" || this.isNominating(pair)) return pair;
    if (!this.#pairs.some(isWaiting)) this.#thaw();
    return this.#pairs.find(isWaiting);
  }

  /** We chose it, and the peer has not confirmed it yet. */
  isNominating(pair: CandidatePair): boolean {
    return this.#controlling && pair.nominated;
  }

  /** §7.2.5.3: a check was answered. What has the same foundation is likely to work as well. */
  succeed(pair: CandidatePair, mapped: LocalCandidate, rttMs: number | undefined): void {
    pair.state = "succeeded";
    pair.mapped = mapped;
    pair.rttMs ??= rttMs;
    for (const other of this.#pairs)
      if (other.state === "frozen" && foundationOf(other) === foundationOf(pair)) other.state = "waiting";
  }

  /** The valid pair of the highest priority. */
  get best(): CandidatePair | undefined {
    return this.#pairs
      .filter(({ state }) => state === "succeeded")
      .toSorted((one, other) => this.#compare(asValid(other), asValid(one)))[0];
  }

  /** Nothing that is still open could beat the best. */
  get isDecided(): boolean {
    const { best } = this;
    const isOpen = ({ state }: CandidatePair) => state !== "succeeded" && state !== "failed";
    return best !== undefined && !this.#pairs.some((pair) => isOpen(pair) && this.#compare(pair, asValid(best)) > 0);
  }

  /** Checks that are to be made or are being made. */
  get openChecks(): number {
    return this.#pairs.filter(({ state }) => state === "waiting" || state === "in-progress").length;
  }

  /** What the peer tells of an address that a check has revealed before. */
  #tell(known: number, remote: Candidate): void {
    if (!this.#remotes[known]?.foundation.startsWith(REVEALED)) return;
    this.#untold -= 1;
    this.#remotes[known] = remote;
    for (const pair of this.#pairs) if (sameEndpoint(pair.remote.endpoint, remote.endpoint)) pair.remote = remote;
    this.#sort();
  }

  #find(socket: number, remote: Endpoint): CandidatePair | undefined {
    return this.#pairs.find((pair) => pair.local.socket === socket && sameEndpoint(pair.remote.endpoint, remote));
  }

  #insert(local: LocalCandidate, remote: Candidate): CandidatePair | undefined {
    const pair: CandidatePair = { local, remote, state: "frozen", nominated: false };
    if (this.#pairs.length >= MAX_PAIRS && !this.#discardBelow(pair)) return undefined;
    this.#pairs.push(pair);
    this.#sort();
    return pair;
  }

  /** §6.1.2.5: makes room, if something is there that is worse and is not being dealt with. */
  #discardBelow(pair: CandidatePair): boolean {
    const idle: readonly PairState[] = ["frozen", "waiting", "failed"];
    const worst = this.#pairs.findLastIndex((one) => idle.includes(one.state) && !this.#triggered.includes(one));
    const found = this.#pairs[worst];
    if (found === undefined || this.#compare(found, pair) >= 0) return false;
    this.#pairs.splice(worst, 1);
    return true;
  }

  /** Of each foundation that nothing is tried of, the best pair may be (§6.1.2.6); all where one works (RFC 8838 §12). */
  #thaw(): void {
    for (const pair of this.#pairs) {
      const foundation = foundationOf(pair);
      const works = this.#pairs.some((one) => one.state === "succeeded" && foundationOf(one) === foundation);
      if (pair.state === "frozen" && (works || !this.#isBusy(foundation))) pair.state = "waiting";
    }
  }

  #isBusy(foundation: string): boolean {
    return this.#pairs.some(
      (pair) => (pair.state === "waiting" || pair.state === "in-progress") && foundationOf(pair) === foundation,
    );
  }

  #sort(): void {
    this.#pairs.sort((one, other) => this.#compare(other, one));
  }

  /** RFC 8445 §6.1.2.3, compared part by part: the whole number has 64 bits. */
  #compare(one: Ranked, other: Ranked): number {
    const [g1, d1] = this.#priorities(one);
    const [g2, d2] = this.#priorities(other);
    return (
      Math.min(g1, d1) - Math.min(g2, d2) || Math.max(g1, d1) - Math.max(g2, d2) || Number(g1 > d1) - Number(g2 > d2)
    );
  }

  /** Of the controlling side, and of the controlled one. */
  #priorities({ local, remote }: Ranked): [number, number] {
    return this.#controlling ? [local.priority, remote.priority] : [remote.priority, local.priority];
  }
}

type Ranked = Pick<CandidatePair, "local" | "remote">;

function asValid({ local, mapped = local, remote }: CandidatePair): Ranked {
  return { local: mapped, remote };
}

function isWaiting({ state }: CandidatePair): boolean {
  return state === "waiting";
}

function foundationOf({ local, remote }: CandidatePair): string {
  return `${local.foundation} ${remote.foundation}`;
}

/** One family; and nobody can make a host send to its own loopback that was not told to use it. */
function canReach(base: Endpoint, remote: Endpoint): boolean {
  const isLoopback = ({ address }: Endpoint) => ipScope(address) === "loopback";
  return isSameFamily(base, remote) && isLoopback(base) === isLoopback(remote);
}
