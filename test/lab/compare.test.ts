import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Filtering } from "../../src/core/nat/behaviour.ts";
import { behaviourChecks } from "../contract/behaviour-checks.ts";
import { NATS, type NatSpec } from "../contract/nat-spec.ts";
import type { World } from "../contract/world.ts";
import { openSimWorld } from "../sim/sim-world.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";

const SEED = Number(process.env.UT_SEED ?? 1);
const LIMIT_MS = 30_000;

const FILTERINGS: readonly Filtering[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
const PORTS: readonly NatSpec["ports"][] = ["preserved", "random", { sequential: -2 }];

/** Cones of every filtering with every port policy; each policy has one filtering with a hairpin. */
const CONES = FILTERINGS.flatMap((filtering, row) =>
  PORTS.map((ports, column): NatSpec => ({ ...NATS["full-cone"], filtering, ports, hairpin: row === column })),
);

/** All checks of behaviour look at the same things. */
async function observe(world: World) {
  return await behaviourChecks[0]?.observe(world);
}

/** What the contract does with the NATs that have a name, here without an expectation. */
describeLab("cones that have no name", () => {
  let lab: Lab;
  beforeAll(async () => {
    console.log(`seed ${SEED}`);
    lab = await Lab.open();
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  for (const spec of CONES)
    test.concurrent(
      `look alike in both laboratories: filtering ${spec.filtering}, ports ${JSON.stringify(spec.ports)}`,
      async () => {
        await using real = await openNatWorld(lab, { a: "blocked" });
        await real.setNat("a", spec);
        await using simulated = openSimWorld({ a: spec }, { seed: SEED });
        expect(await observe(real)).toEqual(await observe(simulated));
      },
      LIMIT_MS,
    );
});
