import { afterAll, beforeAll } from "bun:test";
import { natContract } from "../contract/nat-contract.ts";
import { openSimWorld } from "../sim/sim-world.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";

const SEED = Number(process.env.UT_SEED ?? 1);

describeLab("both laboratories", () => {
  let lab: Lab;
  beforeAll(async () => {
    console.log(`seed ${SEED}`);
    lab = await Lab.open();
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  natContract(
    "real",
    (map) => openNatWorld(lab, map),
    async (map) => openSimWorld(map, { seed: SEED }),
  );
});
