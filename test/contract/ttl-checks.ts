import type { NatCheck, Observation } from "./nat-contract.ts";
import { startRaw } from "./raw-machine.ts";
import { Silence } from "./silence.ts";
import { ADDRESSES, type MapSpec, type World } from "./world.ts";

/** For each TTL, 1 to 5: what a datagram from a1 to the far NAT does. */
const NOTHING = "nothing";
const OPENS = "opens the way back";
const ARRIVES = "opens the way back and arrives";

const TTLS = [1, 2, 3, 4, 5];
const STUN = { address: ADDRESSES.stun, port: 3478 };
const FIRST_PORT = 5_000;

/** The far NAT lets everybody in, so that only the TTL decides; the near one lets in whom it has sent to. */
const rows: readonly { readonly name: string; readonly map: MapSpec; readonly expected: readonly string[] }[] = [
  {
    name: "two homes",
    map: { a: "port-restricted", b: "full-cone" },
    expected: [NOTHING, OPENS, OPENS, ARRIVES, ARRIVES],
  },
  {
    name: "a carrier in front of one",
    map: { a: "port-restricted", b: "full-cone", carrier: "port-restricted" },
    expected: [NOTHING, NOTHING, OPENS, OPENS, ARRIVES],
  },
];

export const ttlChecks: readonly NatCheck[] = rows.map(({ name, map, expected }) => ({
  name: `time to live, ${name}`,
  map,
  expected: byTtl(expected),
  observe: (world) => observeTtl(world, map.carrier === undefined ? ADDRESSES.natA : ADDRESSES.carrier),
}));

/** A socket of a1 for each TTL. `near` is the outside address of a1. */
async function observeTtl(world: World, near: string): Promise<Observation> {
  const silence = await Silence.around(world);
  await startRaw(world, "stun", [STUN]);
  const a1 = await startRaw(
    world,
    "a1",
    TTLS.map((_, index) => ({ port: FIRST_PORT + index })),
  );
  const b1 = await startRaw(world, "b1", [{}]);
  b1.ask(0, STUN);
  await silence.until(() => b1.seenFrom(0, STUN) !== undefined);
  const far = b1.seenFrom(0, STUN);
  if (far === undefined) return { far: "not known" };

  for (const [index, ttl] of TTLS.entries()) a1.send(index, far, `ttl ${ttl}`, ttl);
  await silence.until(() => TTLS.every((ttl) => b1.hears(0, `ttl ${ttl}`)));
  for (const index of TTLS.keys()) b1.send(0, { address: near, port: FIRST_PORT + index }, "back");
  await silence.until(() => [...TTLS.keys()].every((index) => a1.hears(index, "back")));

  return byTtl(
    TTLS.map((ttl, index) => {
      const arrived = b1.hears(0, `ttl ${ttl}`);
      if (!a1.hears(index, "back")) return arrived ? "arrives" : NOTHING;
      return arrived ? ARRIVES : OPENS;
    }),
  );
}

function byTtl(values: readonly string[]): Observation {
  return Object.fromEntries(values.map((value, index) => [`ttl ${TTLS[index]}`, value]));
}
