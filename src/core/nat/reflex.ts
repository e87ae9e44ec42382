import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";

/** Who can see a socket from outside: our own server, configured STUN servers, peers on the direct plane. */
export type ReflexWitness = "server" | "stun" | "peer";

export interface ReflexObservation {
  readonly source: ReflexWitness;
  /** The witness, by a name that it cannot choose: a configured name, a certificate's CN. */
  readonly who: string;
  /** The outside address it saw. */
  readonly mapped: Endpoint;
  readonly at: Instant;
}

/** The address to advertise, and what it rests on. */
export interface Reflex {
  readonly endpoint: Endpoint;
  readonly source: "override" | "port-mapping" | ReflexWitness;
  /** How many see this one, and how many of the same rank see another: all of them do behind a symmetric NAT. */
  readonly agreeing: number;
  readonly dissenting: number;
}

/** Older observations are of a network that may be gone. */
const MAX_AGE_MS = 600_000;
const MAX_WITNESSES = 64;

/** Whom the user configured is believed before whoever happens to be a peer. */
const RANKS: readonly ReflexWitness[][] = [["server", "stun"], ["peer"]];

/**
 * What is known of one socket's outside address, and which to advertise: what the user set (seed net-mesh-traversal,
 * stage 4a: in the config, or at run time), else what a gateway mapped, else what most servers see, else what most peers
 * see. Each witness has one vote, its latest; votes age, and there is room for 64, where a peer never displaces a server.
 */
export class ReflexBook {
  /** By source and name, those heard longest ago first. */
  readonly #observations = new Map<string, ReflexObservation>();
  #override: Endpoint | undefined;
  #portMapping: Endpoint | undefined;

  /** Wins over everything until it is taken back with undefined. */
  setOverride(endpoint: Endpoint | undefined): void {
    this.#override = endpoint;
  }

  /** While a port mapping is active; undefined when it is gone. */
  setPortMapping(endpoint: Endpoint | undefined): void {
    this.#portMapping = endpoint;
  }

  observe(observation: ReflexObservation): void {
    const key = `${observation.source} ${observation.who}`;
    this.#observations.delete(key);
    if (this.#observations.size >= MAX_WITNESSES && !this.#makeRoom(observation.source)) return;
    this.#observations.set(key, observation);
  }

  /** The network changed: nothing that was seen is true any more. Override and port mapping stay. */
  forget(): void {
    this.#observations.clear();
  }

  /** Undefined: nobody has seen it lately. */
  best(now: Instant): Reflex | undefined {
    if (this.#override !== undefined) return alone(this.#override, "override");
    if (this.#portMapping !== undefined) return alone(this.#portMapping, "port-mapping");
    for (const [key, { at }] of this.#observations) if (now - at > MAX_AGE_MS) this.#observations.delete(key);
    const all = [...this.#observations.values()];
    for (const rank of RANKS) {
      const elected = elect(all.filter(({ source }) => rank.includes(source)));
      if (elected !== undefined) return elected;
    }
    return undefined;
  }

  /** Lets go of the oldest peer, or for the sake of a server of the oldest server. */
  #makeRoom(source: ReflexWitness): boolean {
    for (const victims of source === "peer" ? [["peer"]] : [["peer"], ["server", "stun"]]) {
      const found = this.#observations.entries().find(([, one]) => victims.includes(one.source));
      if (found !== undefined) return this.#observations.delete(found[0]);
    }
    return false;
  }
}

function alone(endpoint: Endpoint, source: "override" | "port-mapping"): Reflex {
  return { endpoint, source, agreeing: 1, dissenting: 0 };
}

/** What most see; of equals, what was seen last. */
function elect(votes: readonly ReflexObservation[]): Reflex | undefined {
  const groups = Map.groupBy(votes, ({ mapped }) => formatEndpoint(mapped));
  let best: ReflexObservation[] = [];
  for (const group of groups.values()) {
    if (group.length > best.length || (group.length === best.length && latest(group) > latest(best))) best = group;
  }
  const [first] = best;
  if (first === undefined) return undefined;
  const { mapped: endpoint, source } = first;
  return { endpoint, source, agreeing: best.length, dissenting: votes.length - best.length };
}

function latest(observations: readonly ReflexObservation[]): Instant {
  return Math.max(...observations.map(({ at }) => at));
}
