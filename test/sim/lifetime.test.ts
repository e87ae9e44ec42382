import { describe, expect, test } from "bun:test";
import { LIFETIME_SOCKETS, type LifetimeEvent, MappingLifetime } from "../../src/core/nat/lifetime.ts";
import { lifetimePath } from "../../src/core/nat/lifetime-path.ts";
import { classify, startServers } from "../contract/classify.ts";
import { NATS, type NatName, type NatSpec } from "../contract/nat-spec.ts";
import type { Servers } from "../contract/verdicts.ts";
import { Random } from "../random.ts";
import { openSimWorld, type SimOptions } from "./sim-world.ts";

const SEED = 1;
const HOUR_MS = 3_600_000;

interface Measured {
  readonly last: LifetimeEvent;
  readonly tookMs: number;
}

/** Classifies, measures with what that allows; undefined where it allows nothing. */
async function measure(
  nat: NatSpec,
  servers: Servers = "rfc5780",
  { totalMs, ...quality }: Partial<SimOptions> & { totalMs?: number } = {},
): Promise<Measured | undefined> {
  await using world = openSimWorld({ a: nat }, { seed: SEED, ...quality });
  using started = await startServers(world, servers);
  const path = lifetimePath(await classify(world, "a1", { servers: started.list }));
  if (path === undefined) return undefined;
  const random = new Random(SEED);
  const binds = Array.from({ length: LIFETIME_SOCKETS }, () => ({}));
  const begin = world.now();
  const running = await world.start(
    "a1",
    binds,
    (_, now) =>
      new MappingLifetime({
        now,
        random: (length) => random.bytes(length),
        path,
        ...(totalMs !== undefined && { totalMs }),
      }),
  );
  await world.until(() => running.events.at(-1)?.final === true, HOUR_MS);
  const last = running.events.at(-1);
  if (last === undefined) throw new Error("nothing was said");
  return { last, tookMs: world.now() - begin };
}

const MEASURABLE: readonly NatName[] = [
  "address-restricted",
  "port-restricted",
  "full-cone-random-port",
  "port-restricted-random-port",
  "symmetric",
  "symmetric-sequential",
  "port-restricted-accept",
  "port-restricted-reject",
];

describe("mapping lifetime", () => {
  for (const nat of MEASURABLE)
    test.each([5, 20, 30, 65, 120, 180, 299])(`${nat}, %d s`, async (lifetimeSeconds) => {
      const measured = await measure({ ...NATS[nat], lifetimeSeconds });
      const { atLeastMs = 0, atMostMs = 0 } = measured?.last ?? {};
      const truth = lifetimeSeconds * 1_000;
      expect([atLeastMs <= truth, atMostMs >= truth]).toEqual([true, true]);
      expect(atMostMs - atLeastMs).toBeLessThanOrEqual(Math.max(1_000, 0.1 * atMostMs));
      expect(measured?.tookMs).toBeLessThanOrEqual(900_000);
    });

  test("longer than anybody waits", async () => {
    const measured = await measure({ ...NATS["port-restricted"], lifetimeSeconds: 3_600 });
    expect(measured?.last).toEqual({ type: "lifetime", atLeastMs: 300_000, final: true });
  });

  test("with one address of two ports, where the port is filtered", async () => {
    expect(await measure({ ...NATS["port-restricted"], lifetimeSeconds: 60 }, "one-address")).toBeDefined();
    expect(await measure(NATS["address-restricted"], "one-address")).toBeUndefined();
  });

  test("a full cone that keeps ports shows nothing", async () => {
    expect(await measure(NATS["full-cone"])).toBeUndefined();
  });

  test("it ends when its time is over, with what it knows", async () => {
    const measured = await measure(NATS["port-restricted"], "rfc5780", { totalMs: 40_000 });
    expect(measured).toEqual({ last: { type: "lifetime", atLeastMs: 30_000, final: true }, tookMs: 40_000 });
  });

  test.each([0.05, 0.1])("%d of all datagrams lost", async (loss) => {
    const measured = await measure({ ...NATS["port-restricted"], lifetimeSeconds: 65 }, "rfc5780", { loss });
    const { atLeastMs = 0, atMostMs = 0 } = measured?.last ?? {};
    expect([atLeastMs <= 65_000, atMostMs >= 65_000]).toEqual([true, true]);
  });
});
