import type { NatCheck, Observation } from "./nat-contract.ts";
import { startRaw } from "./raw-machine.ts";
import { Silence } from "./silence.ts";
import { ADDRESSES, type MapSpec, type World } from "./world.ts";

interface Row {
  readonly map: MapSpec & Required<Pick<MapSpec, "b">>;
  /** Time to live of a1's first datagram; the usual one unless told. */
  readonly firstTtl?: number;
  /** Who has heard from the other in the end. */
  readonly heard: "both" | "a1" | "b1" | "nobody";
}

/** Both sides send to where stun has seen the other, a1 first, twice each. */
const rows: readonly Row[] = [
  { map: { a: "port-restricted", b: "port-restricted" }, heard: "both" },
  { map: { a: "port-restricted-random-port", b: "address-restricted-random-port" }, heard: "both" },
  { map: { a: "port-restricted", b: "port-restricted-reject" }, heard: "both" },
  // The early datagram becomes a flow of the router itself, and b1's port changes; a low TTL keeps it from getting there.
  { map: { a: "port-restricted", b: "port-restricted-accept" }, heard: "nobody" },
  { map: { a: "port-restricted", b: "port-restricted-accept" }, firstTtl: 2, heard: "both" },
  { map: { a: "full-cone", b: "symmetric" }, heard: "a1" },
  { map: { a: "address-restricted", b: "symmetric" }, heard: "a1" },
  { map: { a: "port-restricted", b: "symmetric" }, heard: "nobody" },
  { map: { a: "symmetric", b: "symmetric-sequential" }, heard: "nobody" },
  { map: { a: "full-cone", b: "blocked" }, heard: "nobody" },
  // A carrier's NAT: as good as the worse of the two; its own subscribers need its hairpin.
  { map: { a: "full-cone", b: "port-restricted", carrier: "port-restricted" }, heard: "both" },
  { map: { a: "port-restricted", b: "port-restricted", carrier: "full-cone" }, firstTtl: 3, heard: "both" },
  { map: { a: "full-cone", b: "port-restricted", carrier: "symmetric" }, heard: "nobody" },
  { map: { a: "full-cone", b: "full-cone", carrier: "full-cone", bothBehindCarrier: true }, heard: "nobody" },
  {
    map: { a: "port-restricted", b: "port-restricted", carrier: "full-cone-hairpin", bothBehindCarrier: true },
    heard: "both",
  },
  {
    map: { a: "port-restricted", b: "port-restricted-accept", carrier: "full-cone-hairpin", bothBehindCarrier: true },
    heard: "nobody",
  },
];

export const punchChecks: readonly NatCheck[] = rows.map((row) => ({
  name: nameOf(row),
  map: row.map,
  expected: { heard: row.heard },
  observe: (world) => observePunch(world, row.firstTtl),
}));

const STUN = { address: ADDRESSES.stun, port: 3478 };

async function observePunch(world: World, firstTtl: number | undefined): Promise<Observation> {
  const silence = await Silence.around(world);
  await startRaw(world, "stun", [STUN]);
  const a1 = await startRaw(world, "a1", [{ port: 5_000 }]);
  const b1 = await startRaw(world, "b1", [{ port: 6_000 }]);
  for (const host of [a1, b1]) host.ask(0, STUN);
  const ends = () => [a1.seenFrom(0, STUN), b1.seenFrom(0, STUN)] as const;
  await silence.until(() => !ends().includes(undefined));
  const [aEnd, bEnd] = ends();
  for (const ttl of [firstTtl, undefined]) {
    if (bEnd !== undefined) a1.send(0, bEnd, "punch", ttl);
    await silence.until(() => b1.hears(0, "punch"));
    if (aEnd !== undefined) b1.send(0, aEnd, "punch");
    await silence.until(() => a1.hears(0, "punch"));
  }
  const heard = [...(a1.hears(0, "punch") ? ["a1"] : []), ...(b1.hears(0, "punch") ? ["b1"] : [])];
  return { heard: heard.length === 2 ? "both" : (heard[0] ?? "nobody") };
}

function nameOf({ map: { a, b, carrier, bothBehindCarrier }, firstTtl }: Row): string {
  const place = carrier === undefined ? "" : `, ${bothBehindCarrier ? "both" : "the first"} behind ${carrier}`;
  return `punching, ${a} × ${b}${place}${firstTtl === undefined ? "" : `, ttl ${firstTtl} first`}`;
}
