import { afterAll, beforeAll, expect, test } from "bun:test";
import { type IceEnd, runIce, talk } from "../contract/ice-run.ts";
import { ADDRESSES, type MapSpec } from "../contract/world.ts";
import { Random } from "../random.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";

/** The same machine as in test/sim/ice.test.ts, on real sockets behind routers of nftables. */
const HOMES = [{ host: "a1" }, { host: "b1" }] as const;
const REFLEXIVE = /^[sp]rflx [sp]rflx$/;
const LIMIT_MS = 60_000;

interface Row {
  readonly map: MapSpec;
  /** Undefined: neither end finds a way. */
  readonly reached: RegExp | undefined;
  readonly ends?: readonly [IceEnd, IceEnd];
}

const ROWS: Record<string, Row> = {
  "full-cone × port-restricted": { map: { a: "full-cone", b: "port-restricted" }, reached: REFLEXIVE },
  "port-restricted × port-restricted": { map: { a: "port-restricted", b: "port-restricted" }, reached: REFLEXIVE },
  "symmetric × full-cone": { map: { a: "symmetric", b: "full-cone" }, reached: REFLEXIVE },
  "symmetric × port-restricted": { map: { a: "symmetric", b: "port-restricted" }, reached: undefined },
  "both behind a carrier that hairpins": {
    map: { a: "port-restricted", b: "port-restricted", carrier: "full-cone-hairpin", bothBehindCarrier: true },
    reached: REFLEXIVE,
  },
  "two hosts of one home": { map: { a: "symmetric" }, reached: /^host host$/, ends: [{ host: "a1" }, { host: "a2" }] },
};

describeLab("ICE on real NATs", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open();
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  for (const [name, { map, reached, ends = HOMES }] of Object.entries(ROWS))
    test.concurrent(
      name,
      async () => {
        await using world = await openNatWorld(lab, map);
        const run = await runIce(world, new Random(1), ends);
        expect({ ends: run.ends.join(" "), talk: await talk(world, run) }).toEqual(
          reached === undefined
            ? { ends: "timeout timeout", talk: "nothing heard" }
            : { ends: expect.stringMatching(reached), talk: "straight" },
        );
      },
      LIMIT_MS,
    );

  test.concurrent(
    "a port mapping opens what no punching can",
    async () => {
      await using world = await openNatWorld(lab, { a: "symmetric", b: "symmetric" });
      const mapped = { address: ADDRESSES.natA, port: 7_000 };
      await world.namespaceOf("a").nft(`
        table ip mapping {
          chain prerouting {
            type nat hook prerouting priority dstnat - 10;
            ip daddr ${mapped.address} udp dport ${mapped.port} dnat ip to ${ADDRESSES.a1}:5000
          }
        }`);
      const run = await runIce(world, new Random(1), [{ host: "a1", mapped }, { host: "b1" }]);
      expect({ ends: run.ends, talk: await talk(world, run) }).toEqual({ ends: ["prflx", "srflx"], talk: "straight" });
    },
    LIMIT_MS,
  );
});
