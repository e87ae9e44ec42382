import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import { parseIp } from "../net/ip.ts";
import type { Mapping } from "./behaviour.ts";

/** One destination and the outside address that the port under test showed there. */
export interface Sighting {
  readonly to: Endpoint;
  readonly mapped: Endpoint;
}

/** All that one server saw: at the endpoint it was configured with first, then at its other ones (RFC 5780). */
export interface Witness {
  /** Its place in the list of servers. */
  readonly server: number;
  readonly sightings: readonly [Sighting, ...Sighting[]];
}

export interface MappingVerdict {
  /** Proven, or null. */
  readonly mapping: Mapping | null;
  /** Whether different destinations see different outside addresses; null: cannot be told. */
  readonly dependent: boolean | null;
  /** What most saw, or any of it when everybody sees another one. */
  readonly mapped: Endpoint | null;
  /** Servers that agree with most; only these are believed in anything else. */
  readonly trusted: ReadonlySet<number>;
  /** Servers that were heard and disagree. */
  readonly contradicting: ReadonlySet<number>;
  /** Whatever those say that have not answered yet, `dependent` stays as it is. */
  readonly settled: boolean;
}

/** From exact to vague: as far as honest witnesses agree behind a cone, a symmetric NAT, and one with a pool of addresses. */
const AGREEMENTS: readonly ((mapped: Endpoint) => string)[] = [
  formatEndpoint,
  ({ address }) => address,
  ({ address }) => networkOf(address),
];

/**
 * RFC 5780 §4.3, extended to several servers of which some lie or err.
 *
 * Every operator has one vote, what it saw first, however many ports and addresses it has. More than half must agree:
 * on one outside address and port, then it is a cone; else on the address, then the port is what depends on the
 * destination; else on its network. Whoever disagrees with that majority is believed nothing. Whether a mapping
 * depends on the address alone or on the port, too, only one address with two ports can show. Where one address is all
 * that answered, that it shows the same port twice excludes address-and-port-dependent mapping; address-dependent ones
 * without the port remain possible, but are so rare that `dependent` is false then, while `mapping` stays null.
 *
 * `pending` counts the addresses that were asked and may still answer.
 */
export function judgeMapping(witnesses: readonly Witness[], pending: number): MappingVerdict {
  const operators = operatorsOf(witnesses);
  const votes = operators.map((operator) => operator[0].sightings[0].mapped);
  const total = votes.length + pending;
  for (const [vagueness, agreement] of AGREEMENTS.entries()) {
    const { key, count } = mostCommon(votes.map(agreement));
    if (2 * count <= votes.length || (count === 1 && votes.length > 1)) continue;
    const believed = operators.filter((_, i) => agreement(votes[i] as Endpoint) === key);
    const sightings = believed.map((operator) => operator.flatMap((witness) => witness.sightings));
    const unanimous = vagueness === 0 && count > 1;
    const { mapping, dependent } = unanimous ? CONE : judgeWithin(sightings, vagueness > 0);
    const couldBecomeCone = 2 * (mostCommon(votes.map(formatEndpoint)).count + pending) > total;
    return {
      mapping,
      dependent,
      mapped: believed[0]?.[0].sightings[0].mapped ?? null,
      trusted: serversOf(believed),
      contradicting: serversOf(operators.filter((operator) => !believed.includes(operator))),
      settled: pending === 0 || (2 * count > total && (unanimous || !couldBecomeCone)),
    };
  }
  const contradicting = serversOf(operators);
  return { ...UNKNOWN, trusted: new Set(), contradicting, settled: pending === 0 };
}

const CONE = { mapping: "endpoint-independent", dependent: false } as const;
const UNKNOWN = { mapping: null, dependent: null, mapped: null } as const;

type Operator = [Witness, ...Witness[]];

/** Two servers that share an address are one operator: they know the same and lie together. */
function operatorsOf(witnesses: readonly Witness[]): Operator[] {
  const operators: Operator[] = [];
  for (const witness of witnesses) {
    const known = operators.find((operator) => operator.some((other) => sharesAddress(witness, other)));
    if (known) known.push(witness);
    else operators.push([witness]);
  }
  return operators;
}

function sharesAddress(one: Witness, other: Witness): boolean {
  return one.sightings.some(({ to }) => other.sightings.some((sighting) => sighting.to.address === to.address));
}

/** What destinations of the same operator, compared with each other, show. */
function judgeWithin(
  operators: readonly (readonly Sighting[])[],
  differ: boolean,
): Pick<MappingVerdict, "mapping" | "dependent"> {
  const compared = operators.map(comparePairs);
  const byPort = majority(compared.map((pair) => pair.byPort));
  const byAddress = differ || majority(compared.map((pair) => pair.byAddress));
  if (byPort) return { mapping: "address-and-port-dependent", dependent: true };
  if (byAddress === null) return { mapping: null, dependent: byPort };
  if (!byAddress) return CONE;
  return { mapping: byPort === null ? null : "address-dependent", dependent: true };
}

/** Whether the outside address differs between two ports of one address, and between two addresses; null: not compared. */
function comparePairs(sightings: readonly Sighting[]): { byPort: boolean | null; byAddress: boolean | null } {
  let byPort: boolean | null = null;
  let byAddress: boolean | null = null;
  for (const [index, one] of sightings.entries()) {
    for (const other of sightings.slice(index + 1)) {
      if (sameEndpoint(one.to, other.to)) continue;
      const differs = !sameEndpoint(one.mapped, other.mapped);
      if (one.to.address === other.to.address) byPort = byPort || differs;
      else byAddress = byAddress || differs;
    }
  }
  return { byPort, byAddress };
}

function majority(opinions: readonly (boolean | null)[]): boolean | null {
  const held = opinions.filter((opinion) => opinion !== null);
  return held.length === 0 ? null : 2 * held.filter((opinion) => opinion).length >= held.length;
}

function mostCommon(keys: readonly string[]): { key: string; count: number } {
  const counts = new Map<string, number>();
  let best = { key: "", count: 0 };
  for (const key of keys) {
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count > best.count) best = { key, count };
  }
  return best;
}

function serversOf(operators: readonly Operator[]): Set<number> {
  return new Set(operators.flat().map(({ server }) => server));
}

/** Pools of outside addresses are neighbours: the /24 of IPv4, the /48 of IPv6. */
function networkOf(address: string): string {
  const bytes = parseIp(address) ?? new Uint8Array();
  return bytes.subarray(0, bytes.length === 4 ? 3 : 6).join(".");
}
