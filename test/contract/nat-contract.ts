import { describe, expect, test } from "bun:test";
import { behaviourChecks } from "./behaviour-checks.ts";
import { lifetimeChecks } from "./lifetime-checks.ts";
import { punchChecks } from "./punch-checks.ts";
import { ttlChecks } from "./ttl-checks.ts";
import type { MapSpec, World } from "./world.ts";

/** What raw datagrams showed of a map, with everything random left out, so that two worlds can be compared. */
export type Observation = Readonly<Record<string, string>>;

/** One row of the contract. */
export interface NatCheck {
  readonly name: string;
  readonly map: MapSpec;
  readonly expected: Observation;
  observe(world: World): Promise<Observation>;
}

export type OpenWorld = (map: MapSpec) => Promise<World>;

/** Every row that both laboratories must show alike. */
export const NAT_CHECKS: readonly NatCheck[] = [...behaviourChecks, ...ttlChecks, ...punchChecks, ...lifetimeChecks];

/** One check, whatever its world takes to open and to close. */
const CHECK_LIMIT_MS = 60_000;

/**
 * The contract of a laboratory: what its NATs do to raw datagrams is what was written down by hand. Tests run beside
 * each other, since on real routers most of the time is waiting for what must not come.
 *
 * With `comparedWith` each observation must also be that of another laboratory, word for word.
 */
export function natContract(laboratory: string, openWorld: OpenWorld, comparedWith?: OpenWorld): void {
  describe(`NATs, ${laboratory}`, () => {
    for (const check of NAT_CHECKS)
      test.concurrent(
        check.name,
        async () => {
          const observed = await observe(openWorld, check);
          expect(observed).toEqual(check.expected);
          if (comparedWith !== undefined) expect(await observe(comparedWith, check)).toEqual(observed);
        },
        CHECK_LIMIT_MS,
      );
  });
}

async function observe(openWorld: OpenWorld, check: NatCheck): Promise<Observation> {
  await using world = await openWorld(check.map);
  return await check.observe(world);
}
