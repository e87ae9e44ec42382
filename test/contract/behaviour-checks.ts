import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/core/net/endpoint.ts";
import type { NatCheck, Observation } from "./nat-contract.ts";
import { NATS, type NatName } from "./nat-spec.ts";
import { describePorts } from "./port-pattern.ts";
import { type RawHost, startRaw } from "./raw-machine.ts";
import { Silence } from "./silence.ts";
import { ADDRESSES, type World } from "./world.ts";

/**
 * What one NAT does, as seen by inside hosts and by those they talk to. Ports are written as `describePorts` does.
 *
 * - `mapping`: one inside socket as stun:3478, stun:3479, the other address of stun, and peer see it.
 * - `neighbours`: two inside hosts that use the same port, each as stun and peer see it.
 * - `reachedBy`: who gets an answer through a mapping that was opened towards `end`: that end, another port of its
 *   address (`address`), somebody else (`stranger`).
 * - `hairpin`: whether a neighbour is reached at its outside end, and sees the asker's outside end.
 * - `afterEarly`: the outside port towards somebody who sent something in before he was sent anything.
 */
interface Behaviour extends Observation {
  readonly mapping: string;
  readonly neighbours: string;
  readonly reachedBy: string;
  readonly hairpin: string;
  readonly afterEarly: string;
}

const PRESERVING = { mapping: "own own own own", neighbours: "own own, A A", hairpin: "no", afterEarly: "kept" };
const RANDOM = { mapping: "A A A A", neighbours: "A A, B B", hairpin: "no", afterEarly: "kept" };
const CHANGING = { reachedBy: "end", hairpin: "no", afterEarly: "changed" };

const EXPECTED: Record<NatName, Behaviour> = {
  "full-cone": { ...PRESERVING, reachedBy: "end address stranger" },
  "address-restricted": { ...PRESERVING, reachedBy: "end address" },
  "port-restricted": { ...PRESERVING, reachedBy: "end" },
  "full-cone-random-port": { ...RANDOM, reachedBy: "end address stranger" },
  "address-restricted-random-port": { ...RANDOM, reachedBy: "end address" },
  "port-restricted-random-port": { ...RANDOM, reachedBy: "end" },
  symmetric: { ...CHANGING, mapping: "A B C D", neighbours: "A B, C D" },
  "symmetric-sequential": { ...CHANGING, mapping: "A A+1 A+2 A+3", neighbours: "A A+1, A+2 A+3" },
  blocked: { mapping: "- - - -", neighbours: "- -, - -", reachedBy: "", hairpin: "no", afterEarly: "-" },
  "full-cone-hairpin": { ...PRESERVING, reachedBy: "end address stranger", hairpin: "yes" },
  "port-restricted-hairpin": { ...PRESERVING, reachedBy: "end", hairpin: "yes" },
  "port-restricted-accept": { ...PRESERVING, reachedBy: "end", afterEarly: "changed" },
  "port-restricted-reject": { ...PRESERVING, reachedBy: "end" },
  "short-lived": { ...PRESERVING, reachedBy: "end" },
};

// Invariant: the keys of NATS are its names.
export const behaviourChecks: readonly NatCheck[] = (Object.keys(NATS) as NatName[]).map((name) => ({
  name: `behaviour of ${name}`,
  map: { a: name },
  expected: EXPECTED[name],
  observe: observeBehaviour,
}));

const STUN: Endpoint = { address: ADDRESSES.stun, port: 3478 };
const PEER: Endpoint = { address: ADDRESSES.peer, port: 7_000 };
const PEER_OTHER: Endpoint = { address: ADDRESSES.peer, port: 7_001 };
const DESTINATIONS: readonly Endpoint[] = [
  STUN,
  { address: ADDRESSES.stun, port: 3479 },
  { address: ADDRESSES.stunSecond, port: 3478 },
  PEER,
];

/** Sockets of a1, and what they are for. */
const MAPPING = 0;
const FILTERING = 1;
const EARLY = 2;
const SHARED = 3;
const A1_PORTS = [5_000, 5_001, 5_002, 5_003];
/** Sockets of a2; the first has the port of a1's `SHARED`. */
const NEIGHBOUR = 0;
const HAIRPIN = 1;
const A2_PORTS = [5_003, 6_000];

interface Cast {
  readonly silence: Silence;
  readonly stun: RawHost;
  readonly peer: RawHost;
  readonly a1: RawHost;
  readonly a2: RawHost;
}

async function observeBehaviour(world: World): Promise<Behaviour> {
  const bindTo = (port: number) => ({ port });
  const cast: Cast = {
    silence: await Silence.around(world),
    stun: await startRaw(world, "stun", DESTINATIONS.slice(0, 3)),
    peer: await startRaw(world, "peer", [PEER, PEER_OTHER]),
    a1: await startRaw(world, "a1", A1_PORTS.map(bindTo)),
    a2: await startRaw(world, "a2", A2_PORTS.map(bindTo)),
  };
  return {
    mapping: describePorts([await portsSeen(cast.silence, cast.a1, MAPPING, DESTINATIONS)], A1_PORTS[MAPPING]),
    neighbours: await observeNeighbours(cast),
    reachedBy: await observeFiltering(cast),
    hairpin: await observeHairpin(cast),
    afterEarly: await observeEarly(cast),
  };
}

async function observeNeighbours({ silence, a1, a2 }: Cast): Promise<string> {
  const seen = [
    await portsSeen(silence, a1, SHARED, [STUN, PEER]),
    await portsSeen(silence, a2, NEIGHBOUR, [STUN, PEER]),
  ];
  return describePorts(seen, A1_PORTS[SHARED]);
}

async function observeFiltering({ silence, stun, peer, a1 }: Cast): Promise<string> {
  const outside = await endSeen(silence, a1, FILTERING, PEER);
  if (outside === undefined) return "";
  const reachedBy: string[] = [];
  const askers = {
    end: { host: peer, socket: 0 },
    address: { host: peer, socket: 1 },
    stranger: { host: stun, socket: 0 },
  };
  for (const [who, { host, socket }] of Object.entries(askers))
    if ((await endSeen(silence, host, socket, outside)) !== undefined) reachedBy.push(who);
  return reachedBy.join(" ");
}

async function observeHairpin({ silence, a1, a2 }: Cast): Promise<string> {
  const [own, neighbour] = [await endSeen(silence, a1, MAPPING, STUN), await endSeen(silence, a2, HAIRPIN, STUN)];
  if (own === undefined || neighbour === undefined) return "no";
  const seen = await endSeen(silence, a1, MAPPING, neighbour);
  if (seen === undefined) return "no";
  return sameEndpoint(seen, own) ? "yes" : `as ${formatEndpoint(seen)}`;
}

async function observeEarly({ silence, peer, a1 }: Cast): Promise<string> {
  const before = await endSeen(silence, a1, EARLY, STUN);
  if (before === undefined) return "-";
  peer.send(0, before, "early");
  await silence.until(() => a1.hears(EARLY, "early"));
  const after = await endSeen(silence, a1, EARLY, PEER);
  if (after === undefined) return "-";
  return sameEndpoint(before, after) ? "kept" : "changed";
}

/** The outside end of a host's socket towards `to`, as `to` itself sees it; undefined when no answer comes. */
async function endSeen(silence: Silence, host: RawHost, socket: number, to: Endpoint): Promise<Endpoint | undefined> {
  host.ask(socket, to);
  await silence.until(() => host.seenFrom(socket, to) !== undefined);
  return host.seenFrom(socket, to);
}

async function portsSeen(
  silence: Silence,
  host: RawHost,
  socket: number,
  destinations: readonly Endpoint[],
): Promise<(number | undefined)[]> {
  for (const to of destinations) host.ask(socket, to);
  const seen = () => destinations.map((to) => host.seenFrom(socket, to)?.port);
  await silence.until(() => !seen().includes(undefined));
  return seen();
}
