import { afterAll, beforeAll, expect, test } from "bun:test";
import type { StunServer } from "../../src/core/nat/classifier-options.ts";
import { type ClassifyRow, classifyRow, configured, mapOf, startServers } from "../contract/classify.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { expectedVerdict, type Servers, verdictOf } from "../contract/verdicts.ts";
import { ADDRESSES } from "../contract/world.ts";
import { startCoturn } from "./coturn.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";

const ROW_LIMIT_MS = 120_000;

/** One map each; on it, all kinds of servers are asked one after the other. */
const ROWS: readonly Omit<ClassifyRow, "servers">[] = [
  { nat: "none" },
  ...(Object.keys(NATS) as NatName[]).map((nat) => ({ nat })),
  { nat: "full-cone", carrier: "port-restricted-random-port" },
  { nat: "symmetric-sequential", carrier: "full-cone-hairpin" },
  { nat: "port-restricted", carrier: "full-cone-hairpin" },
  { nat: "address-restricted", carrier: "symmetric" },
];

/** Answers like a server of ours with two addresses, and is another program. */
async function withCoturn(lab: Lab, world: NatWorld, body: (servers: StunServer[]) => Promise<void>): Promise<void> {
  await using coturn = await startCoturn(lab, world.namespaceOf("stun"), [ADDRESSES.stun, ADDRESSES.stunSecond]);
  const [first] = coturn.endpoints;
  if (first !== undefined) await body([configured(first)]);
}

describeLab("classification on real NATs", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open();
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  for (const row of ROWS)
    test.concurrent(
      row.carrier === undefined ? row.nat : `${row.nat} behind ${row.carrier}`,
      async () => {
        await using world = await openNatWorld(lab, mapOf(row));
        const verdict = async (servers: readonly StunServer[]) => verdictOf(await classifyRow(world, row, servers));
        const expected = (kind: Servers) => expectedVerdict(row.nat, row.carrier, kind);
        await withCoturn(lab, world, async (servers) => expect(await verdict(servers)).toEqual(expected("rfc5780")));
        // Waiting for nobody takes five seconds each time, whoever it is.
        if (row.nat === "blocked") return;
        for (const kind of ["rfc5780", "one-address", "plain"] as const) {
          using servers = await startServers(world, kind);
          expect([kind, await verdict(servers.list)]).toEqual([kind, expected(kind)]);
        }
      },
      ROW_LIMIT_MS,
    );
});
