import type { Endpoint } from "../net/endpoint.ts";
import { sameEndpoint } from "../net/endpoint.ts";
import { type Candidate, isSameFamily, type LocalCandidate } from "./candidate.ts";

/** RFC 8445 §6.1.2.6. */
export type PairState = "frozen" | "waiting" | "in-progress" | "succeeded" | "failed";

/** One way to try: from a socket of ours to an address of the peer. */
export interface CandidatePair {
  readonly local: LocalCandidate;
  readonly remote: Candidate;
  readonly foundation: string;
  state: PairState;
  /** The peer (or we, when controlling) chose it: it is selected as soon as its check has succeeded. */
  nominated: boolean;
}

/** RFC 8445 §6.1.2.5 suggests 100. */
const MAX_PAIRS = 100;

/**
 * The pairs of one peer, the best first (RFC 8445 §6.1.2). Pairs are told apart by socket and remote address only: a
 * reflexive candidate of ours is checked from its base, so it makes no pair of its own (§6.1.2.4).
 */
export class Checklist {
  readonly pairs: CandidatePair[] = [];
  #controlling: boolean;

  constructor(controlling: boolean) {
    this.#controlling = controlling;
  }

  /** After a role conflict the order is the other side's. */
  set controlling(controlling: boolean) {
    this.#controlling = controlling;
    this.#sort();
  }

  find(socket: number, remote: Endpoint): CandidatePair | undefined {
    return this.pairs.find((pair) => pair.local.socket === socket && sameEndpoint(pair.remote.endpoint, remote));
  }

  /** Pairs `remote` with every base of ours. Of each foundation one pair waits, the others are frozen (§6.1.2.6). */
  add(locals: readonly LocalCandidate[], remote: Candidate): void {
    for (const local of locals) {
      const isBase = sameEndpoint(local.endpoint, local.base);
      if (isBase && isSameFamily(local.base, remote.endpoint)) this.#add(local, remote);
    }
    this.#sort();
    // The worst go: they stand behind.
    this.pairs.length = Math.min(this.pairs.length, MAX_PAIRS);
    this.#thaw();
  }

  /** A pair that a check of the peer revealed, on this very socket. */
  addTriggered(local: LocalCandidate, remote: Candidate): CandidatePair {
    const pair = this.find(local.socket, remote.endpoint) ?? this.#add(local, remote);
    this.#sort();
    return pair;
  }

  /** The next ordinary check (§6.1.4.2): the best that waits; when none does, the best frozen one. */
  next(): CandidatePair | undefined {
    return this.pairs.find(({ state }) => state === "waiting") ?? this.pairs.find(({ state }) => state === "frozen");
  }

  /** §7.2.5.3.3: what has the foundation of a pair that works is likely to work as well. */
  unfreeze(foundation: string): void {
    for (const pair of this.pairs)
      if (pair.state === "frozen" && pair.foundation === foundation) pair.state = "waiting";
  }

  /** Nothing is left to try. */
  get exhausted(): boolean {
    return this.pairs.every(({ state }) => state === "failed");
  }

  #add(local: LocalCandidate, remote: Candidate): CandidatePair {
    const known = this.find(local.socket, remote.endpoint);
    if (known !== undefined) return known;
    const foundation = `${local.foundation} ${remote.foundation}`;
    const pair: CandidatePair = { local, remote, foundation, state: "frozen", nominated: false };
    this.pairs.push(pair);
    return pair;
  }

  #thaw(): void {
    for (const pair of this.pairs) {
      const started = this.pairs.some(({ foundation, state }) => foundation === pair.foundation && state !== "frozen");
      if (!started) pair.state = "waiting";
    }
  }

  #sort(): void {
    this.pairs.sort((one, other) => this.#compare(other, one));
  }

  /** RFC 8445 §6.1.2.3, compared part by part: the whole number has 64 bits. */
  #compare(one: CandidatePair, other: CandidatePair): number {
    const [g1, d1] = this.#priorities(one);
    const [g2, d2] = this.#priorities(other);
    return (
      Math.min(g1, d1) - Math.min(g2, d2) || Math.max(g1, d1) - Math.max(g2, d2) || Number(g1 > d1) - Number(g2 > d2)
    );
  }

  /** Of the controlling side, and of the controlled one. */
  #priorities({ local, remote }: CandidatePair): [number, number] {
    return this.#controlling ? [local.priority, remote.priority] : [remote.priority, local.priority];
  }
}
